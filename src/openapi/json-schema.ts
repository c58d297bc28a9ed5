/** A schema, or another object of the document: keywords and their values. */
export type Schema = Readonly<Record<string, unknown>>;

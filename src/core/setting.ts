import { readFileSync } from 'node:fs';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A setting from the environment: `NAME`, or the content of the file that `NAME_FILE` names (a mounted secret).
 * Empty is the same as not set.
 *
 * @throws TypeError when both are set, or the file cannot be read or is empty. The value is never repeated.
 */
export function readSetting(name: string, environment: Environment = process.env): string | undefined {
  const value = environment[name] || undefined;
  const path = environment[`${name}_FILE`] || undefined;
  if (path === undefined) return value;
  if (value !== undefined) throw new TypeError(`${name} and ${name}_FILE are both set; leave one out.`);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new TypeError(`${name}_FILE names a file that cannot be read: ${path}`, { cause });
  }
  // Editors and `echo` end a file with a line end that belongs to nobody's password.
  const content = text.replace(/\r?\n$/, '');
  if (content === '') throw new TypeError(`${name}_FILE names an empty file: ${path}`);
  return content;
}

/** @throws TypeError also when neither is set. */
export function requireSetting(name: string, environment: Environment = process.env): string {
  const value = readSetting(name, environment);
  if (value === undefined)
    throw new TypeError(`${name} is not set; set it, or ${name}_FILE to a file that holds it.`);
  return value;
}

/** What a task holds while it runs: it asks nothing of its caller, which is a clock or a queue. */
export type TaskPolicy =
  | { readonly kind: 'system'; readonly permissions: readonly string[] }
  | { readonly kind: 'undeclared'; readonly fault: string };

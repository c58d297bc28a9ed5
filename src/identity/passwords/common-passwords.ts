/** About 49,000 passwords that attackers try first; loaded when the first password is set, never for a sign-in. */
let loading: Promise<ReadonlySet<string>> | undefined;

async function load(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  return new Set(dictionary['passwords-common']);
}

/** The shortest part that counts as a word of its own when two are put together. */
const SHORTEST_PART = 4;

/**
 * Whether a password is one of the common ones, in whatever letter case, one of them or a few characters repeated,
 * two of them put together, or a run like `abcdefghijklmno` (NIST SP 800-63B-4 3.1.1.2, ASVS 6.2.4).
 */
export async function isCommonPassword(password: string): Promise<boolean> {
  loading ??= load();
  const common = await loading;
  const text = password.normalize('NFKC').toLowerCase();
  return common.has(text) || isRun(text) || isRepeated(text, common) || isPair(text, common);
}

/** Each character one above the one before, or each one below. */
function isRun(text: string): boolean {
  const points = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  const steps = new Set(points.slice(1).map((point, at) => point - (points[at] ?? 0)));
  // After 9 a keyboard goes on with 0, before 0 with 9.
  for (const wrap of [-9, 9]) if (/^\d+$/.test(text)) steps.delete(wrap);
  return steps.size === 1 && (steps.has(1) || steps.has(-1));
}

function isRepeated(text: string, common: ReadonlySet<string>): boolean {
  for (let length = 1; length <= text.length / 2; length += 1) {
    if (text.length % length !== 0) continue;
    const unit = text.slice(0, length);
    if (unit.repeat(text.length / length) === text) return length <= SHORTEST_PART || common.has(unit);
  }
  return false;
}

function isPair(text: string, common: ReadonlySet<string>): boolean {
  for (let at = SHORTEST_PART; at <= text.length - SHORTEST_PART; at += 1) {
    if (common.has(text.slice(0, at)) && common.has(text.slice(at))) return true;
  }
  return false;
}

import { Command, type Option } from 'commander';
import { COMMANDS } from '../../src/cli/commands.js';

/** `zero-trust …` in code spans and code blocks; the name of the package is no command. */
export function commandLinesIn(markdown: string): string[] {
  const code = [
    ...[...markdown.matchAll(/^```\w*\n([^]*?)^```/gm)].flatMap(([, block]) => block!.split('\n')),
    ...[...markdown.replace(/^```[^]*?^```/gm, '').matchAll(/`([^`]+)`/g)].map(([, span]) =>
      span!.replaceAll('\n', ' '),
    ),
  ];
  return code.flatMap((line) => {
    const found = /(?:^|[\s$./]|nestjs-zero-trust\/)(?:zero-trust|dist\/cli\/main\.js) ([a-z].*)$/.exec(line);
    return found ? [`zero-trust ${found[1]!}`] : [];
  });
}

/** The command line as it is made, with nobody who listens. */
export function program(): Command {
  const io = { environment: {}, out: () => undefined, err: () => undefined };
  const made = new Command('zero-trust');
  for (const each of COMMANDS) made.addCommand(each(io));
  return made;
}

/** What is wrong with a command line as the documents write it; `[--option]` and `…` are how they speak. */
export function faultOf(line: string): string | undefined {
  let command = program();
  const words = line
    .replace(/[|>;#].*$|<(?= ).*$|&&.*$/, '')
    .split(/\s+/)
    .map((word) => word.replace(/^\[|[\]"'.,:]+$/g, ''))
    .filter((word) => word !== '' && word !== '…')
    .slice(1);
  while (words.length > 0 && command.commands.length > 0 && !words[0]!.startsWith('-')) {
    const next = command.commands.find((each) => each.name() === words[0]);
    if (!next) return `no command ${words[0]!}`;
    command = next;
    words.shift();
  }
  const known = new Map(command.options.map((option): [string | undefined, Option] => [option.long, option]));
  const given = words.filter((word) => word.startsWith('--') && word !== '--help');
  for (const word of given) {
    const option = known.get(word);
    if (!option) return `no option ${word}`;
    const value = words[words.indexOf(word) + 1];
    if (option.argChoices && !option.argChoices.includes(value!)) return `${value!} is no choice of ${word}`;
  }
  // A bare name speaks of the command; with options it is one to paste.
  if (given.length === 0) return undefined;
  const missing = command.options.find(({ mandatory, long }) => mandatory && !given.includes(long!));
  return missing ? `${missing.long!} is missing` : undefined;
}

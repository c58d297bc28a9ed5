import { Mutation, Query, ResolveField, ResolveReference, Resolver, Subscription } from '@nestjs/graphql';
import { describe, expect, test } from 'vitest';
import { graphqlHandlersOf } from '../../../src/access/inventory/graphql.handlers.js';
import type { HandlerHost } from '../../../src/access/inventory/route-entry.js';
import { Authenticated, Public, RequirePermission } from '../../../src/core/route-policy.js';

type Class = (new () => object) & { readonly name: string };
const hostOf = (type: Class): HandlerHost => ({
  name: type.name,
  type,
  prototype: type.prototype as Readonly<Record<string, unknown>>,
  instance: undefined,
});
const READ = { kind: 'permission', permissions: ['documents:read'] };
const UNGUARDED = {
  kind: 'undeclared',
  fault: "has a policy that Nest would not enforce: give GraphQLModule fieldResolverEnhancers: ['guards']",
};

@Resolver('Note')
class NotesResolver {
  @Query()
  @RequirePermission('documents:read')
  read(): string {
    return '';
  }
  @Mutation('rename')
  @Authenticated()
  write(): string {
    return '';
  }
  @Subscription()
  @Public()
  changes(): string {
    return '';
  }
  @ResolveField()
  @RequirePermission('documents:read')
  secret(): string {
    return '';
  }
  @ResolveField('renamed')
  @Public()
  open(): string {
    return '';
  }
  @ResolveField()
  forgotten(): string {
    return '';
  }
  @ResolveReference()
  @Authenticated()
  refer(): string {
    return '';
  }
  @ResolveField()
  __resolveType(): string {
    return 'Note';
  }
  @ResolveField('__resolveType')
  typeOf(): string {
    return 'Note';
  }
  notAHandler(): string {
    return '';
  }
}

describe('the ways in to a resolver', () => {
  test('RBAC-12 are queries, mutations, subscriptions, fields and references, each with its policy where fields are guarded', () => {
    const of = { transport: 'graphql', className: 'NotesResolver' };
    const forgotten = expect.stringMatching(/^has no policy/) as string;
    const [read, write, changes, secret, renamed, silent, refer, ...others] = graphqlHandlersOf(
      hostOf(NotesResolver),
      true,
    );
    expect([read, write, changes]).toStrictEqual([
      { ...of, method: 'QUERY', path: 'read', handlerName: 'read', policy: READ },
      { ...of, method: 'MUTATION', path: 'rename', handlerName: 'write', policy: { kind: 'authenticated' } },
      { ...of, method: 'SUBSCRIPTION', path: 'changes', handlerName: 'changes', policy: { kind: 'public' } },
    ]);
    expect([secret, renamed, silent]).toStrictEqual([
      { ...of, method: 'FIELD', path: 'Note.secret', handlerName: 'secret', policy: READ },
      { ...of, method: 'FIELD', path: 'Note.renamed', handlerName: 'open', policy: { kind: 'public' } },
      {
        ...of,
        method: 'FIELD',
        path: 'Note.forgotten',
        handlerName: 'forgotten',
        policy: { kind: 'undeclared', fault: forgotten },
      },
    ]);
    expect(refer).toMatchObject({ method: 'FIELD', handlerName: 'refer', policy: { kind: 'authenticated' } });
    // What says which type an object has answers nothing.
    expect(others).toEqual([]);
  });

  test('RBAC-12 are refused below a query where Nest would not guard them, unless they are open or have a fault of their own', () => {
    const policies = graphqlHandlersOf(hostOf(NotesResolver), false).map(({ handlerName, policy }) => [
      handlerName,
      policy.kind === 'undeclared' ? policy.fault.replace(/: write .*/, '') : policy,
    ]);
    expect(policies).toEqual([
      ['read', READ],
      ['write', { kind: 'authenticated' }],
      ['changes', { kind: 'public' }],
      ['secret', UNGUARDED.fault],
      ['open', { kind: 'public' }],
      ['forgotten', 'has no policy'],
      ['refer', UNGUARDED.fault],
    ]);
  });

  test('RBAC-12 are refused where the method is called as Nest guards none, whatever it answers', () => {
    const fault = 'is called __resolveType, and Nest guards no method of that name: give it another one';
    for (const [answers, mark] of [
      ['QUERY secret', Query('secret')],
      ['FIELD Note.secret', ResolveField('secret')],
      ['FIELD Note.__resolveType', ResolveReference()],
    ] as const) {
      @Resolver('Note')
      class HidingResolver {
        @RequirePermission('documents:read')
        __resolveType(): string {
          return '';
        }
      }
      const { prototype } = HidingResolver;
      mark(prototype, '__resolveType', Object.getOwnPropertyDescriptor(prototype, '__resolveType')!);
      const entries = graphqlHandlersOf(hostOf(HidingResolver), true);
      expect(entries.map(({ method, path, policy }) => [`${method} ${path}`, policy])).toEqual([
        [answers, { kind: 'undeclared', fault }],
      ]);
    }
  });

  test('RBAC-12 are every method of a class whose type is a root one, as Nest reads it', () => {
    @Resolver('Query')
    class RootResolver {
      @Public()
      asked(): string {
        return '';
      }
    }
    expect(graphqlHandlersOf(hostOf(RootResolver), false)).toMatchObject([
      { method: 'QUERY', path: 'asked', policy: { kind: 'public' } },
    ]);
  });

  test('RBAC-12 are named by the class where the type is no name, and are none of a class that has no type', () => {
    class Typed {
      @ResolveField()
      @Public()
      colour(): string {
        return '';
      }
      plain(): string {
        return '';
      }
    }
    expect(graphqlHandlersOf(hostOf(Typed), true)).toEqual([]);
    Reflect.defineMetadata('graphql:resolver_type', () => Typed, Typed);
    expect(graphqlHandlersOf(hostOf(Typed), true).map(({ path }) => path)).toEqual(['Typed.colour']);
  });
});

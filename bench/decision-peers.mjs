// What people decide with today, each set up as its documentation says, with everything in memory.
import { AbilityBuilder, createMongoAbility } from '@casl/ability';
import { newEnforcer, newModelFromString, StringAdapter } from 'casbin';

/** A role's permissions, those that it inherits included. */
function permissionsOf(roles, role) {
  const below = role.inherits.flatMap((name) =>
    permissionsOf(
      roles,
      roles.find((each) => each.name === name),
    ),
  );
  return [...role.permissions, ...below];
}

const partsOf = (permission) => permission.split(':');

/** One ability a subject, made once and kept. */
export class CaslPeer {
  #abilities = new Map();

  constructor(roles, subjects) {
    const ofRole = new Map(roles.map((role) => [role.name, permissionsOf(roles, role)]));
    // Those that are asked about: as many as the kit is asked about.
    for (const { id, role } of subjects.slice(0, 1_000)) {
      const { can, build } = new AbilityBuilder(createMongoAbility);
      for (const permission of ofRole.get(role.name)) {
        const [resource, action] = partsOf(permission);
        can(action, resource);
      }
      this.#abilities.set(id, build());
    }
  }

  decides({ id, permission }) {
    const at = permission.indexOf(':');
    return this.#abilities.get(id).can(permission.slice(at + 1), permission.slice(0, at));
  }
}

const MODEL = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act`;

/** casbin's RBAC model. */
export class CasbinPeer {
  #enforcer;

  constructor(enforcer) {
    this.#enforcer = enforcer;
  }

  static async load(roles, subjects) {
    const policies = [
      ...roles.flatMap(({ name, permissions }) =>
        permissions.map((permission) => `p, ${name}, ${partsOf(permission).join(', ')}`),
      ),
      ...roles.flatMap(({ name, inherits }) => inherits.map((below) => `g, ${name}, ${below}`)),
      ...subjects.map(({ id, role }) => `g, ${id}, ${role.name}`),
    ];
    return new CasbinPeer(
      await newEnforcer(newModelFromString(MODEL), new StringAdapter(policies.join('\n'))),
    );
  }

  decides({ id, permission }) {
    const at = permission.indexOf(':');
    return this.#enforcer.enforceSync(id, permission.slice(0, at), permission.slice(at + 1));
  }
}

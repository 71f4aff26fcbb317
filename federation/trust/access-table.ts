// Who may call what at a federated coordinator. A method that does not stand here is refused to everybody.

import { AccessError } from '../../common/errors.js';

/**
 * What a member is: `participant` takes part with its learners' data; `operator` starts and stops trainings and sees
 * no participant's messages.
 */
export const MEMBER_ROLES = ['participant', 'operator'] as const;
export type MemberRole = (typeof MEMBER_ROLES)[number];

/** Who a caller has shown itself to be: `anyone` has shown no certificate. */
export type Caller = MemberRole | 'anyone';

/** Methods, or all of a service (`/package.Service/*`), by who may call them. */
export type AccessTable = Readonly<Record<string, readonly Caller[]>>;

const ANYONE: readonly Caller[] = ['anyone', ...MEMBER_ROLES];
const MEMBERS: readonly Caller[] = MEMBER_ROLES;
const PARTICIPANTS: readonly Caller[] = ['participant'];
const OPERATORS: readonly Caller[] = ['operator'];
const NOBODY: readonly Caller[] = [];

export const ACCESS_TABLE: AccessTable = {
  // The token of the invitation says who calls.
  '/stoa.federation.v1.EnrolmentService/Enrol': ANYONE,
  '/stoa.federation.v1.EnrolmentService/RenewCertificate': MEMBERS,
  '/stoa.federation.v1.EnrolmentService/GetMember': MEMBERS,
  '/stoa.federation.v1.FederationService/*': PARTICIPANTS,

  '/stoa.training.v1.TrainingService/*': OPERATORS,
  // Workers and parameter processes are the coordinator's own; they have no business at the federation's address.
  '/stoa.training.v1.WorkerService/*': NOBODY,
  '/stoa.parameters.v1.HolderService/*': NOBODY,
  '/stoa.parameters.v1.TablesService/*': NOBODY,
  '/stoa.parameters.v1.ParametersService/*': NOBODY,
  // Recommendations name learners: each participant serves its own.
  '/stoa.recommend.v1.RecommendService/*': NOBODY,

  '/grpc.health.v1.Health/*': ANYONE,
  '/grpc.reflection.v1.ServerReflection/*': MEMBERS,
  '/grpc.reflection.v1alpha.ServerReflection/*': MEMBERS,
};

/** Who may call a method, "/package.Service/Method"; undefined when the table does not know it. */
export function callersOf(method: string, table: AccessTable = ACCESS_TABLE): readonly Caller[] | undefined {
  const service = `${method.slice(0, method.lastIndexOf('/'))}/*`;
  if (Object.hasOwn(table, method)) return table[method];
  return Object.hasOwn(table, service) ? table[service] : undefined;
}

/**
 * @throws {AccessError} `STOA_ACCESS`: not for members of this role. `STOA_ACCESS_CERTIFICATE`: for members only.
 */
export function requireAccess(method: string, caller: Caller, table: AccessTable = ACCESS_TABLE): void {
  const callers = callersOf(method, table) ?? NOBODY;
  if (callers.includes(caller)) return;
  if (caller === 'anyone' && callers.length > 0) {
    throw new AccessError(
      'STOA_ACCESS_CERTIFICATE',
      'this call needs the certificate of a member; join the federation with an invitation',
      { fields: { method } },
    );
  }
  throw new AccessError('STOA_ACCESS', `${method} is not for ${caller}s of this federation`, {
    fields: { method, role: caller },
  });
}

/**
 * Members reach what is theirs and nothing of another's. The answer is the same whether the other exists or not.
 *
 * @throws {AccessError} `STOA_ACCESS`.
 */
export function requireSelf(member: { name: string; role: MemberRole }, name: string): void {
  if (member.name === name) return;
  throw new AccessError('STOA_ACCESS', `${member.name} may ask about itself alone`, {
    fields: { member: member.name },
  });
}

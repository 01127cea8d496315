/** The login of the tests' SQL servers. No message may ever contain the password. */

export const SQL_LOGIN = {
  user: 'mail',
  password: 'pa55-word"of\\tests',
  /** The database that every PostgreSQL server has. */
  database: 'postgres',
} as const

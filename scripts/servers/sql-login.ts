/** How the tests' SQL servers are entered. No message may ever show the password. */

export const SQL_LOGIN = {
  user: 'mail',
  password: 'pa55-word"of\\tests',
  /** In PostgreSQL the one that every server has. */
  database: 'postgres',
} as const

//! What a server has and holds, for what is to be loaded into it.

use super::{SqlSession, bounded};

impl SqlSession {
    /// The engines that this server has, names as it spells them.
    pub fn engines(&mut self) -> Result<Vec<String>, String> {
        self.rows(
            "SELECT ENGINE FROM information_schema.ENGINES WHERE SUPPORT IN ('YES', 'DEFAULT') ORDER BY 1",
        )
    }

    /// The databases with their number of tables and views.
    pub fn databases(&mut self) -> Result<Vec<(String, u64)>, String> {
        let statement = "SELECT s.SCHEMA_NAME, COUNT(t.TABLE_NAME) FROM information_schema.SCHEMATA s LEFT JOIN \
                         information_schema.TABLES t ON t.TABLE_SCHEMA = s.SCHEMA_NAME GROUP BY s.SCHEMA_NAME";
        self.answer(statement, bounded::NAMES).map_err(|error| self.plain(error))
    }

    /// Users with their hosts, and roles, whose host is empty.
    pub fn accounts(&mut self) -> Result<Vec<(String, String)>, String> {
        self.answer("SELECT User, Host FROM mysql.user", bounded::NAMES).map_err(|error| self.plain(error))
    }

    /// The account that the server takes this session for, `user@host`.
    pub fn current_user(&mut self) -> Result<String, String> {
        let rows: Vec<String> = self.rows("SELECT CURRENT_USER()")?;
        rows.into_iter().next().ok_or_else(|| "the server does not say who is logged in".into())
    }
}

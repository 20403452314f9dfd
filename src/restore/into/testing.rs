//! A dump in small.

/// Two databases of users, that of the server, a grant, and what belongs to none.
pub(super) const DUMP: &str = "/*M!999999\\- enable the sandbox mode */ \n\
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)\n\
--\n\
-- Server version\t10.11.19-MariaDB-log\n\
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\n\
SET GLOBAL gtid_slave_pos='0-1-2';\n\
GRANT SELECT ON `a`.* TO `u`@`%`;\n\
\n\
--\n\
-- Current Database: `a`\n\
--\n\
\n\
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a` /*!40100 DEFAULT CHARACTER SET latin1 */;\n\
\n\
USE `a`;\n\
DROP TABLE IF EXISTS `t`;\n\
CREATE TABLE `t` (\n  `id` int(11) NOT NULL COMMENT ') ENGINE=MyISAM'\n) ENGINE=InnoDB DEFAULT CHARSET=latin1;\n\
SET @OLD_AUTOCOMMIT=@@AUTOCOMMIT, @@AUTOCOMMIT=0;\n\
LOCK TABLES `t` WRITE;\n\
/*!40000 ALTER TABLE `t` DISABLE KEYS */;\n\
INSERT INTO `t` VALUES\n\
(1,'USE `b`; and much more, so that this is the longest of all the statements that stand in this dump'),\n\
(2,'\n-- Current Database: `b`\nUSE `b`;');\n\
UNLOCK TABLES;\n\
COMMIT;\n\
SET AUTOCOMMIT=@OLD_AUTOCOMMIT;\n\
DROP TABLE IF EXISTS `m`;\n\
CREATE TABLE `m` (\n  `id` int(11) DEFAULT NULL\n) ENGINE=MyISAM DEFAULT CHARSET=latin1;\n\
\n\
-- Current Database: `mysql`\n\
USE `mysql`;\n\
DROP TABLE IF EXISTS `column_stats`;\n\
CREATE TABLE `column_stats` (\n  `db_name` varchar(64) NOT NULL\n) ENGINE=Aria;\n\
SET @OLD_AUTOCOMMIT=@@AUTOCOMMIT, @@AUTOCOMMIT=0;\n\
LOCK TABLES `column_stats` WRITE;\n\
UNLOCK TABLES;\n\
COMMIT;\n\
SET AUTOCOMMIT=@OLD_AUTOCOMMIT;\n\
DROP TABLE IF EXISTS `global_priv`;\n\
CREATE TABLE `global_priv` (\n  `Host` char(255) NOT NULL\n) ENGINE=Aria;\n\
INSERT INTO `global_priv` VALUES ('%');\n\
\n\
-- Current Database: `b`\n\
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `b`;\n\
USE `b`;\n\
DROP TABLE IF EXISTS `t`;\n\
CREATE TABLE `t` (\n  `id` int(11) NOT NULL\n) ENGINE=InnoDB;\n\
INSERT INTO `t` VALUES (7);\n\
DELIMITER ;;\n\
CREATE PROCEDURE `p`()\n\
BEGIN\n\
USE `a`;\n\
END ;;\n\
DELIMITER ;\n\
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;\n\
\n\
-- Dump completed on 2026-11-27 13:08:58\n";

//! stub
#![allow(missing_docs)]
pub struct PageChecker;
pub struct R {
    pub damaged: D,
}
pub struct D {
    pub count: u64,
}
impl PageChecker {
    pub fn is_tablespace(_: &str) -> bool {
        false
    }
    pub fn new() -> Self {
        Self
    }
    pub fn update(&mut self, _: &[u8]) {}
    pub fn finish(self) -> R {
        R { damaged: D { count: 0 } }
    }
}

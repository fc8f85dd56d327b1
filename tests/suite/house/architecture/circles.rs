//! Files that use each other in a circle, found by the paths that they name.

use std::collections::{BTreeMap, BTreeSet};

use super::{module_of, root};
use crate::house::architecture::paths::{Named, named};

/// Files that pass one name on, at most.
const PASSED_ON: usize = 4;

/// Every file of `src` by its module, and what it names outside of its tests.
struct Files {
    named: BTreeMap<Vec<String>, Vec<Named>>,
}

impl Files {
    fn read() -> Self {
        let read = |path: &std::path::PathBuf| {
            let module = module_of(path);
            let found = named(&std::fs::read_to_string(path).expect("readable"), &module);
            (module, found.into_iter().filter(|path| !path.in_tests()).collect())
        };
        Self { named: super::files("src", &["rs"]).iter().map(read).collect() }
    }

    /// The file that a path leads to; what a file passes on from another one is the other's.
    fn home(&self, path: &[String], steps: usize) -> Option<&Vec<String>> {
        let depth = (1..=path.len()).rev().find(|depth| self.named.contains_key(&path[..*depth]))?;
        let (module, named) = self.named.get_key_value(&path[..depth])?;
        let Some(item) = path.get(depth).filter(|_| steps > 0) else { return Some(module) };
        let passed = named.iter().filter(|named| named.passed_on() && named.segments.last() == Some(item));
        let origin = passed.filter_map(Named::absolute).find(|origin| origin != path);
        origin.and_then(|origin| self.home(&origin, steps - 1)).or(Some(module))
    }

    /// Which files each file uses. A list of what is passed on is no use; nor is what a file takes from the head of its own folder
    /// (`mod.rs`), where the types stand that the files of a folder share.
    fn uses(&self) -> BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> {
        let mut uses = BTreeMap::new();
        for (module, named) in &self.named {
            let used = named.iter().filter(|named| !named.passed_on());
            let homes = used.filter_map(|named| self.home(&named.absolute()?, PASSED_ON));
            uses.insert(module, homes.filter(|home| !module.starts_with(home)).collect());
        }
        uses
    }
}

/// Files that can be reached from themselves, in groups that reach each other.
fn circles() -> Vec<BTreeSet<String>> {
    let files = Files::read();
    let uses = files.uses();
    let reach = |from: &Vec<String>| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(at) = open.pop() {
            for next in uses.get(&at).into_iter().flatten() {
                if reached.insert((*next).clone()) {
                    open.push((*next).clone());
                }
            }
        }
        reached
    };
    let reached: BTreeMap<_, _> = uses.keys().map(|from| ((*from).clone(), reach(from))).collect();
    let mut found: BTreeSet<BTreeSet<String>> = BTreeSet::new();
    for (file, all) in &reached {
        if all.contains(file) {
            let circle = all.iter().filter(|other| reached[*other].contains(file));
            found.insert(circle.map(|file| file.join("::")).collect());
        }
    }
    found.into_iter().collect()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let circles: Vec<_> =
        circles().iter().map(|circle| circle.iter().cloned().collect::<Vec<_>>().join(", ")).collect();
    assert!(circles.is_empty(), "circles below {}: {circles:#?}", root().display());
}

//! Which cases a cohort has: tables good and hostile, folders, patterns.

use std::path::{Path, PathBuf};

use parallax::cohort::Manifest;
use parallax::io::Which;

fn read(text: &str) -> Result<Manifest, String> {
    Manifest::read(text, Path::new("/scans")).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_table_is_read_with_its_further_columns_and_written_as_it_reads() {
    let text = "\u{feff}site, id ,scan,slab,series,target,mask,=odd\n\
                A,z,a b.nii.gz,2:5,1.2.3,\"Pleurisy; pleural effusion\",,x\n\
                \"B, the second\",a,/else/b,all,2,,m.nii.gz,\"=1+1\"\n";
    let manifest = read(text).expect("a manifest");
    assert_eq!(manifest.columns, ["site", "=odd"]);
    let [a, z] = manifest.rows.as_slice() else { panic!("{:?}", manifest.rows) };
    assert_eq!((a.id.as_str(), z.id.as_str()), ("a", "z"), "sorted");
    assert_eq!((&z.scan, &a.scan), (&PathBuf::from("/scans/a b.nii.gz"), &PathBuf::from("/else/b")));
    assert_eq!((z.series.clone(), a.series.clone()), (Some(Which::Uid("1.2.3".to_owned())), Some(Which::Number(2))));
    assert_eq!((z.slab.clone(), a.slab.clone()), (Some(Some(2..5)), Some(None)));
    assert_eq!(a.mask, Some(PathBuf::from("/scans/m.nii.gz")));
    assert_eq!((z.target.as_deref(), a.target.as_deref()), (Some("Pleurisy; pleural effusion"), None));
    assert_eq!(a.further, ["B, the second", "=1+1"]);
    let written = String::from_utf8(manifest.csv().expect("a table")).expect("UTF-8");
    let again = read(&written).expect("a manifest");
    let plain = |manifest: &Manifest| {
        let rows = manifest.rows.iter().map(|row| parallax::cohort::Row { line: 0, ..row.clone() });
        (manifest.columns.clone(), rows.collect::<Vec<_>>())
    };
    assert_eq!(plain(&again), plain(&manifest));
}

#[test]
fn every_bad_row_is_told_by_its_line_before_anything_runs() {
    let text = "id,scan,slab,series\n\
                ,a.nii,,\n\
                ../x,a.nii,,\n\
                ok,,,\n\
                a,a.nii,,\n\
                A,b.nii,,\n\
                b,a.nii,5-9,\n\
                c,a.nii,7:7,\n\
                d,a.nii,,0\n\
                e,a.nii\n\
                f/g,a.nii,,\n";
    let said = read(text).expect_err("it is refused");
    for words in [
        "line 2: the id is empty",
        "line 3: the id \"../x\"",
        "line 4: the scan is empty",
        "line 6: the id \"A\" stands in line 5 already",
        "line 7: slab: want A:B or all",
        "line 8: slab: 7:7 holds no slice",
        "line 9: series: series are counted from 1",
        "line 10: it has 2 cells",
        "line 11: the id \"f/g\"",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    for (text, words) in [
        ("id,path\na,b\n", "no column \"scan\""),
        ("scan\nb\n", "no column \"id\""),
        ("id,scan,id\na,b,c\n", "two columns have the name \"id\""),
        ("id,scan,\na,b,c\n", "has no name"),
        ("id,scan\n", "holds no scan"),
        ("", "no column \"id\""),
        ("id,scan,x\na,b,\u{202e}c\n", "letters that no one sees"),
        ("id,scan\n\"a,b\n", "line 2"),
    ] {
        let said = read(text).expect_err(text);
        assert!(said.contains(words), "{text:?}: {said}");
    }
    let many: String = (0..50).map(|_| "..,b\n").collect();
    let said = read(&format!("id,scan\n{many}")).expect_err("it is refused");
    assert!(said.contains("and 30 more") && said.lines().count() < 30, "{said}");
}

#[test]
fn a_folder_or_a_pattern_makes_a_manifest_with_safe_ids() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["Müller, A.nii.gz", "b.nii", "notes.txt", ".hidden.nii", "c.zip"] {
        std::fs::write(folder.path().join(name), b"").expect("written");
    }
    std::fs::create_dir(folder.path().join("series 1")).expect("a folder");
    let ids = |path: &Path| -> Vec<String> {
        Manifest::open(path).expect("a manifest").rows.into_iter().map(|row| row.id).collect()
    };
    assert_eq!(ids(folder.path()), ["M_ller__A", "b", "c", "series_1"]);
    assert_eq!(ids(&folder.path().join("*.nii*")), ["M_ller__A", "b"]);
    std::fs::write(folder.path().join("B.nii.gz"), b"").expect("written");
    let said = format!("{:#}", Manifest::open(folder.path()).expect_err("two of one name"));
    assert!(said.contains("both become the id") && said.contains("in a table"), "{said}");
    for path in ["none", "none.csv", "*.none"] {
        let said = format!("{:#}", Manifest::open(&folder.path().join(path)).expect_err(path));
        assert!(said.contains(path), "{said}");
    }
}

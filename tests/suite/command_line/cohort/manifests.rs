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
        "line 6: the id \"A\" is \"a\" of line 5 but for capitals",
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
        ("id,scan,\na,b,c\n", "line 2: it has 3 cells, where the first line names 2"),
        ("id,,scan\na,b,c\n", "has no name"),
        ("id,scan\n", "holds no scan"),
        ("", "it is empty"),
        ("ID,scan\na,b\n", "no column \"id\" (\"ID\" is written otherwise)"),
        ("id,scan,x\na,b,\u{202e}c\n", "letters that no one sees"),
        ("id,scan\n\"a,b\nc,d\n", "line 2: a quote is opened, and not closed in its line"),
        ("id,\"scan\n", "line 1: a quote is opened"),
        ("id,\"scan\na,b\n", "line 1: a quote is opened"),
        (",,,\n,,\n", "line 1: it names no columns"),
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

#[test]
fn tables_of_any_spreadsheet_are_read() {
    let rows =
        "id;scan;target;site\n\"p1\" ;a.nii.gz; \"Pleurisy; pleural effusion\" ;A, left\np2;b.nii.gz;;;;\n;;;\n\n";
    let plain = read(rows).expect("semicolons");
    assert_eq!(plain.rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["p1", "p2"]);
    assert_eq!(plain.rows[0].target.as_deref(), Some("Pleurisy; pleural effusion"));
    assert_eq!(plain.rows[0].further, ["A, left"]);
    let of = |text: &str| read(text).expect(text);
    assert_eq!(of(&rows.replace('\n', "\r\n")), plain, "lines of Windows");
    assert_eq!(of(&rows.replace('\n', "\r")), plain, "lines of old Macs");
    assert_eq!(of(&format!("\u{feff}{rows}")), plain, "a mark of UTF-8");
    assert_eq!(of("id\tscan\np1\ta b.nii\n").rows[0].scan, PathBuf::from("/scans/a b.nii"), "tabs");
    assert_eq!(of("id,scan,,\np1,a.nii,,\n").columns, [""; 0], "empty columns behind the last");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cohort.txt");
    let wide: Vec<u8> =
        "\u{feff}id\tscan\r\np1\tM\u{fc}ller.nii\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, wide).expect("written");
    let manifest = Manifest::open(&path).expect("UTF-16, as spreadsheets save Unicode text");
    assert_eq!(manifest.rows[0].scan, folder.path().join("M\u{fc}ller.nii"));
}

#[test]
fn what_is_no_table_is_told_and_no_quote_swallows_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM");
    for (name, bytes, words) in [
        ("a.csv", &b"PK\x03\x04sheet"[..], "it is a zip archive, as spreadsheets are"),
        ("a.nii.gz", b"\x1f\x8bscan", "it is a scan"),
        ("scan", b"\x1f\x8bscan", "it is packed, as scans are"),
        ("dicom", &dicom, "it is a DICOM file"),
        ("a.parquet", b"PAR1", "it is a Parquet file"),
        ("nul.csv", b"id,scan\na,b\0\n", "line 2: it holds bytes that are no letters"),
        ("latin.csv", b"id,scan\na,M\xfcller.nii\n", "line 2: it is no text in UTF-8"),
        ("empty.csv", b"", "it is empty"),
        ("odd.csv", b"\xff\xfei\0d\0\0", "UTF-16"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let said = format!("{:#}", Manifest::open(&path).expect_err(name));
        assert!(said.contains(words) && said.contains(name), "{said}");
    }
    for (rows, words) in [
        ("a,\"s\".nii.gz\n", "line 2: letters stand behind a closed quote"),
        ("a,\"s.nii\nb,t.nii\n", "line 2: a quote is opened, and not closed in its line"),
        ("a,\"s.nii\nb,\"t\".nii\n", "line 2: a quote is opened"),
        ("a,s\"t\".nii\n", "line 2: a quote stands within a cell"),
    ] {
        let said = read(&format!("id,scan\n{rows}")).expect_err(rows);
        assert!(said.contains(words), "{rows:?}: {said}");
    }
}

#[test]
fn a_scan_of_an_archive_is_refused_by_its_line_since_a_cohort_uses_no_network() {
    let said = read("id,scan,mask\na,a.nii,\nb,pacs:ward/1.2/3.4,\nc,c.nii,https://h/m.nii\nd,pacs:oops,\n")
        .expect_err("no network");
    for words in [
        "line 3: the scan lies in an archive, and a cohort uses no network",
        "`parallax pacs get ward 1.2/3.4 --out DIR`",
        "line 4: the mask is an address",
        "line 5: the scan lies in an archive",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = format!("{:#}", Manifest::open(Path::new("pacs:ward/1.2/3.4")).expect_err("no network"));
    assert!(said.contains("parallax pacs get ward 1.2/3.4"), "{said}");
}

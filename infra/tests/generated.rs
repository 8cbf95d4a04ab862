//! The module's generated files against the code.

use std::path::Path;

use steadfast_infra::generate;

#[test]
fn no_generated_file_is_stale() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("module/generated");
    if let Err(stale) = generate::check(&folder) {
        panic!("{stale}");
    }
    let expected: Vec<&str> = generate::all().iter().map(|file| file.name).collect();
    let mut there: Vec<String> = std::fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    there.sort();
    assert_eq!(there, expected, "no file there that nobody generates");
}

#[test]
fn a_changed_file_is_found_and_written_again() {
    let folder = std::env::temp_dir().join(format!("steadfast-generated-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    assert_eq!(generate::write(&folder).expect("written").len(), 6);
    assert!(generate::check(&folder).is_ok());
    std::fs::write(folder.join("iam.json"), "{}").expect("changed");
    let stale = generate::check(&folder).expect_err("stale").to_string();
    assert!(stale.contains("iam.json") && !stale.contains("events.json"), "{stale}");
    assert_eq!(generate::write(&folder).expect("written"), ["iam.json"]);
    std::fs::remove_dir_all(&folder).expect("removed");
}

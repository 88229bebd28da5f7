//! Forms into directories.

use super::*;
use std::fs;
use tempfile::{TempDir, tempdir};

const TYPE: &str = "multipart/form-data; boundary=x";

fn part(disposition: &str, data: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{data}\r\n")
}

fn receive(uploads: &Uploads, body: &str, size: usize) -> Result<Form, FormError> {
    let mut form = uploads.receiver(TYPE)?;
    for piece in body.as_bytes().chunks(size) {
        form.take(piece)?;
    }
    form.finish()
}

/// Everything that is in there, by name.
fn listed(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn fields_are_kept_and_files_are_saved() {
    let body = part("name=a", "1")
        + &part("name=f; filename=\"x.txt\"\r\nContent-Type: text/x", "hello")
        + &part("name=a", "2")
        + &part("name=none; filename=\"\"", "")
        + &part("name=empty; filename=e", "")
        + &part("name=nameless; filename=\"\"", "!")
        + "--x--";
    for size in [1, 7, 1000] {
        let directory = tempdir().unwrap();
        let form = receive(&Uploads::to(directory.path()), &body, size).unwrap();
        assert!(form.fields().eq([("a", "1"), ("a", "2")]));
        assert_eq!((form.field("a"), form.field("b")), (Some("1"), None));
        let told: Vec<_> = form
            .files()
            .iter()
            .map(|file| {
                (
                    file.field(),
                    file.filename(),
                    file.content_type(),
                    file.length(),
                    fs::read(file.path()).unwrap(),
                )
            })
            .collect();
        let expected = [
            ("f", "x.txt", Some("text/x"), 5, b"hello".to_vec()),
            ("empty", "e", None, 0, vec![]),
            ("nameless", "", None, 1, b"!".to_vec()),
        ];
        assert_eq!(told, expected);
        assert_eq!(form.file("empty"), Some(&form.files()[1]));
        let plain = directory.path().join("plain");
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions();
        assert_eq!(mode(form.files()[0].path()), mode(&plain), "the umask decides");
        fs::remove_file(&plain).unwrap();
        let names = listed(&directory);
        assert_eq!(names.len(), 3);
        assert!(
            names
                .iter()
                .all(|name| name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        );
    }
}

#[test]
fn urlencoded_forms_are_forms() {
    let directory = tempdir().unwrap();
    let mut form =
        Uploads::to(directory.path()).receiver("application/x-www-form-urlencoded; charset=utf-8").unwrap();
    form.take(b"a=1&b=x+").unwrap();
    form.take(b"%C3%BC&&c").unwrap();
    let form = form.finish().unwrap();
    assert!(form.fields().eq([("a", "1"), ("b", "x ü"), ("c", "")]));
    assert!(form.files().is_empty());
}

#[test]
fn names_of_clients_stay_in_the_directory_and_replace_nothing() {
    let outer = tempdir().unwrap();
    let directory = TempDir::new_in(outer.path()).unwrap();
    fs::write(directory.path().join("a.txt"), "old").unwrap();
    let body = part("name=f; filename=\"../a.txt\"", "new")
        + &part("name=f; filename=\"/x/a.txt\"", "newer")
        + "--x--";
    let uploads = Uploads::to(directory.path()).save_as(SaveAs::ClientName);
    let form = receive(&uploads, &body, 9).unwrap();
    assert_eq!(listed(&directory), ["a-2.txt", "a-3.txt", "a.txt"]);
    assert_eq!(fs::read(directory.path().join("a.txt")).unwrap(), b"old");
    assert_eq!(fs::read(form.files()[0].path()).unwrap(), b"new");

    let form = receive(&uploads.save_as(SaveAs::ClientNameReplacing), &body, 9).unwrap();
    assert_eq!(fs::read(directory.path().join("a.txt")).unwrap(), b"newer");
    assert_eq!(form.files()[1].path(), directory.path().join("a.txt"));
    assert_eq!(listed(&outer).len(), 1, "nothing is outside");
}

#[test]
fn what_is_not_whole_leaves_nothing() {
    let whole = part("name=a; filename=a", "12345") + &part("name=b; filename=b", "12345") + "--x--";
    let directory = tempdir().unwrap();
    for end in 0..whole.len() {
        let torn = receive(&Uploads::to(directory.path()), &whole[..end], 10).unwrap_err();
        assert_eq!(torn.status(), 400, "{torn}");
        assert_eq!(listed(&directory), [""; 0], "{end}");
    }
    let mut dropped = Uploads::to(directory.path()).receiver(TYPE).unwrap();
    dropped.take(&whole.as_bytes()[..whole.len() - 5]).unwrap();
    let hidden = listed(&directory);
    assert!(hidden.len() == 2 && hidden.iter().all(|name| name.starts_with(".upload-")), "{hidden:?}");
    drop(dropped);
    assert_eq!(listed(&directory), [""; 0]);
}

#[test]
fn everything_is_bounded() {
    let directory = tempdir().unwrap();
    let uploads = Uploads::to(directory.path());
    let file = |length: usize| part("name=f; filename=f", &"x".repeat(length)) + "--x--";
    let field = |length: usize| part("name=abc", &"x".repeat(length)) + "--x--";
    let fields = |count: usize| part("name=a", "").repeat(count) + "--x--";
    let long_name = |length: usize| part(&format!("name={}", "x".repeat(length)), "") + "--x--";
    let table = [
        (uploads.clone().file_bytes(10), file(10), file(11)),
        (uploads.clone().field_bytes(10), field(7), field(8)),
        (uploads.clone().field_bytes(10), long_name(10), long_name(11)),
        (uploads.clone().parts(3), fields(3), fields(4)),
    ];
    for (uploads, fits, does_not) in table {
        for size in [1, 1000] {
            receive(&uploads, &fits, size).unwrap();
            let refused = receive(&uploads, &does_not, size).unwrap_err();
            assert_eq!(refused.status(), 413, "{refused}");
        }
    }
    assert!(listed(&directory).iter().all(|name| !name.starts_with('.')));
    // What was refused is not whole, whatever comes of the rest.
    let mut form = uploads.clone().field_bytes(5).receiver("application/x-www-form-urlencoded").unwrap();
    form.take(b"a=1").unwrap();
    assert!(form.take(b"&b=2").is_err());
    assert_eq!(form.finish().unwrap_err().status(), 400);
    for (text, status) in [("a=1&b=2&c=3&d=4", 413), ("aaaaaaaaaaaaaaaaaaaaa=", 413)] {
        let mut form =
            uploads.clone().parts(3).field_bytes(20).receiver("application/x-www-form-urlencoded").unwrap();
        let received = form.take(text.as_bytes()).and_then(|()| form.finish());
        assert_eq!(received.unwrap_err().status(), status, "{text}");
    }
}

#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let body = part("name=a; filename=a", "1") + "--x--";
    let missing = receive(&Uploads::to("/nowhere/at/all"), &body, 1000).unwrap_err();
    assert_eq!(missing.status(), 500);
    assert!(missing.to_string().contains("`/nowhere/at/all`"), "{missing}");
    // A form without files needs no place.
    assert!(receive(&Uploads::to("/nowhere/at/all"), &(part("name=a", "1") + "--x--"), 1000).is_ok());

    // The name is a directory's: the file before it does not stay.
    let directory = tempdir().unwrap();
    fs::create_dir(directory.path().join("d")).unwrap();
    let uploads = Uploads::to(directory.path()).save_as(SaveAs::ClientNameReplacing);
    let body = part("name=a; filename=d", "1") + "--x--";
    let refused = receive(&uploads, &body, 1000).unwrap_err();
    assert!(matches!(&refused, FormError::Disk { path, .. } if path.ends_with("d")), "{refused}");
    assert_eq!(listed(&directory), ["d"]);
}

#[test]
fn what_is_no_form_is_refused() {
    let uploads = Uploads::to("/tmp");
    for (content_type, status) in [
        ("", 415),
        ("application/json", 415),
        ("multipart/mixed; boundary=x", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=\"", 400),
    ] {
        assert_eq!(uploads.receiver(content_type).unwrap_err().status(), status, "{content_type}");
    }
}

#[test]
fn a_file_that_cannot_have_its_name_takes_the_others_with_it() {
    let directory = tempdir().unwrap();
    let body = part("name=a; filename=a", "first") + &part("name=b; filename=b", "second") + "--x--";
    let mut form = Uploads::to(directory.path()).save_as(SaveAs::ClientName).receiver(TYPE).unwrap();
    form.take(body.as_bytes()).unwrap();
    let hidden = listed(&directory).into_iter().map(|name| directory.path().join(name));
    let second = hidden.into_iter().find(|path| fs::read(path).unwrap() == b"second").unwrap();
    fs::remove_file(second).unwrap();
    let refused = form.finish().unwrap_err();
    assert!(matches!(&refused, FormError::Disk { path, .. } if path.ends_with("b")), "{refused}");
    assert_eq!(listed(&directory), [""; 0]);
}

#[test]
fn what_is_refused_is_removed_at_once() {
    let directory = tempdir().unwrap();
    let uploads = Uploads::to(directory.path()).file_bytes(5);
    let intake = Intake::new(uploads.receiver(TYPE).unwrap());
    let body = part("name=a; filename=a", "123456");
    intake.take(&body.as_bytes()[..body.len() - 4]).unwrap();
    assert_eq!(listed(&directory).len(), 1);
    assert_eq!(intake.take(&body.as_bytes()[body.len() - 4..]).unwrap_err().status(), 413);
    assert_eq!(listed(&directory), [""; 0], "its connection may last");
    intake.take(b"more").unwrap();
    assert_eq!(intake.finish().unwrap(), None);
}

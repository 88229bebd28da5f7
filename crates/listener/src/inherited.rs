//! Sockets that a service manager has opened for us and passed on (`sd_listen_fds(3)`).

use std::{
    env,
    ffi::OsString,
    io::{self, ErrorKind},
    os::fd::OwnedFd,
    process,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What has been passed on, once somebody has asked. Only they who hold the lock take from it.
static PASSED_ON: Mutex<Option<Vec<Passed>>> = Mutex::new(None);

/// What `sd_listen_fds_with_names(3)` calls a descriptor that was given no name.
const NAMELESS: &str = "unknown";

struct Passed {
    name: String,
    /// None: taken.
    descriptor: Option<io::Result<OwnedFd>>,
}

/// The names of the sockets that a service manager has passed on to this process and that nobody has taken, in its
/// order: each is an [`Address`](crate::Address) `systemd:NAME`, and can be listened on once. Several may have one name,
/// and are taken in their order; `systemd:` alone is the next of them all.
///
/// They are named by `FileDescriptorName=` of the socket unit, and by the unit itself (`shop.socket`) without that; what
/// was put into the descriptor store has the name that it was stored under.
///
/// A process that nobody has passed any on to has none. So has a child of the one that they are for, by `LISTEN_PID`.
///
/// # Errors
///
/// `InvalidData`: the variables contradict each other, or are no numbers.
pub fn inherited() -> io::Result<Vec<String>> {
    let mut passed = lock();
    let untaken = look(&mut passed)?.iter().filter(|passed| passed.descriptor.is_some());
    Ok(untaken.map(|passed| passed.name.clone()).collect())
}

/// The first of that name that nobody has taken; without a name, the first.
pub(crate) fn take(name: &str) -> io::Result<OwnedFd> {
    let mut passed = lock();
    let is_it =
        |passed: &&mut Passed| passed.descriptor.is_some() && (name.is_empty() || passed.name == name);
    let found = look(&mut passed)?.iter_mut().find(is_it).and_then(|passed| passed.descriptor.take());
    found.unwrap_or_else(|| Err(io::Error::new(ErrorKind::NotFound, "no such socket was passed on")))
}

/// The descriptors are taken over at the first look.
fn look(passed: &mut Option<Vec<Passed>>) -> io::Result<&mut Vec<Passed>> {
    if passed.is_none() {
        let names = passed_on(|variable| env::var_os(variable), process::id())?;
        let descriptors =
            if names.is_empty() { None } else { exeunt_sys::descriptors::inherited(names.len()) };
        let descriptors = descriptors.unwrap_or_default().into_iter().map(Some);
        let all = names.into_iter().zip(descriptors);
        *passed = Some(all.map(|(name, descriptor)| Passed { name, descriptor }).collect());
    }
    Ok(passed.get_or_insert_default())
}

/// The names of what was passed on to the process.
fn passed_on(look_up: impl Fn(&str) -> Option<OsString>, process: u32) -> io::Result<Vec<String>> {
    let wrong = |problem: String| io::Error::new(ErrorKind::InvalidData, problem);
    let number = |variable: &str| {
        let Some(value) = look_up(variable).filter(|value| !value.is_empty()) else { return Ok(None) };
        match value.to_str().and_then(|text| text.parse::<u32>().ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(format!("{variable}={value:?} is no number"))),
        }
    };
    if number("LISTEN_PID")? != Some(process) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS")?.unwrap_or(0) as usize;
    if count > MOST {
        return Err(wrong(format!("LISTEN_FDS={count} is more than the {MOST} that there may be")));
    }
    let Some(names) = look_up("LISTEN_FDNAMES").filter(|names| !names.is_empty()) else {
        return Ok(vec![NAMELESS.to_owned(); count]);
    };
    let names: Vec<_> = names.to_string_lossy().split(':').map(str::to_owned).collect();
    if names.len() != count {
        return Err(wrong(format!(
            "LISTEN_FDS={count} and the names in LISTEN_FDNAMES ({}) differ",
            names.join(":")
        )));
    }
    Ok(names)
}

/// More than any process may have open unless it was told otherwise (`fs.nr_open`, proc(5)).
const MOST: usize = 1 << 20;

fn lock() -> MutexGuard<'static, Option<Vec<Passed>>> {
    PASSED_ON.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::passed_on;
    use std::ffi::OsString;

    fn names(variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let look_up = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        passed_on(look_up, 4_711).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_for_us_has_names() {
        let all = [("LISTEN_PID", "4711"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "http:admin")];
        assert_eq!(names(&all).unwrap(), ["http", "admin"]);
        assert_eq!(names(&all[..2]).unwrap(), ["unknown", "unknown"]);
        let empty = ("LISTEN_FDNAMES", "");
        assert_eq!(names(&[all[0], ("LISTEN_FDS", "0"), empty]).unwrap(), [""; 0], "none, and no names");
        assert_eq!(names(&[all[0], all[1], empty]).unwrap(), ["unknown", "unknown"], "as other variables");
        assert_eq!(names(&all[1..]).unwrap(), [""; 0], "for whom is not said");
        assert_eq!(names(&[("LISTEN_PID", "1"), all[1], all[2]]).unwrap(), [""; 0], "for somebody else");
        assert_eq!(names(&[]).unwrap(), [""; 0]);
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let pid = ("LISTEN_PID", "4711");
        for (variables, says) in [
            (vec![("LISTEN_PID", "us")], "LISTEN_PID=\"us\" is no number"),
            (vec![pid, ("LISTEN_FDS", "-1")], "LISTEN_FDS=\"-1\" is no number"),
            (vec![pid, ("LISTEN_FDS", "4000000000")], "more than the 1048576"),
            (
                vec![pid, ("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "a:b")],
                "LISTEN_FDS=1 and the names in LISTEN_FDNAMES (a:b) differ",
            ),
        ] {
            let error = names(&variables).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}

//! What the operator says: configuration by environment variables.
//!
//! [`VARIABLES`] is the one place where they are declared; `docs/environment.md` is written from it.

use crate::config::{Config, ConfigError};
use crate::service::Preset;
use std::env;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// An environment variable that configures a lifecycle.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it takes, by example.
    pub example: &'static str,
    /// What holds where neither it nor the program says anything.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    apply: fn(Config, &OsStr) -> Result<Config, String>,
}

/// Every variable that [`Config::with_environment`] reads.
///
/// ```
/// # use exeunt_lifecycle::VARIABLES;
/// // What a program's --help can say:
/// let help: Vec<_> = VARIABLES.iter().map(|it| format!("{} ({}): {}", it.name, it.default, it.meaning)).collect();
/// assert!(help[1].starts_with("EXEUNT_GRACE (25s): From the first stop request"));
/// ```
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "EXEUNT_ADMIN",
        example: "127.0.0.1:9000",
        default: "what the program says",
        meaning: "Where `/livez`, `/readyz` and `/metrics` are answered, apart from the program's own servers: an address, or \
                  `unix:/run/shop/admin.sock`. For programs of `exeunt::main` with the feature `server`.",
        apply: |config, text| match plain(text)? {
            "" => Err("it is empty".to_owned()),
            address => Ok(config.admin(address)),
        },
    },
    Variable {
        name: "EXEUNT_GRACE",
        example: "25s",
        default: "25s",
        meaning: "From the first stop request to the end at the latest; or who kills the program then, and so how \
                  long it may take: `systemd` (85 s of the usual 90 s), `docker` (8 s), `kubernetes` (25 s).",
        apply: grace,
    },
    Variable {
        name: "EXEUNT_LAME_DUCK",
        example: "5s",
        default: "0s",
        meaning: "How long to go on accepting after the stop request, so that load balancers go elsewhere first. \
                  Part of the grace.",
        apply: |config, text| Ok(config.lame_duck(duration(text)?)),
    },
    Variable {
        name: "EXEUNT_LAME_DUCK_QUIET",
        example: "2s",
        default: "0s",
        meaning: "Ends the lame duck as soon as no new request has come for so long, and at `EXEUNT_LAME_DUCK` at the \
                  latest; `0s`: not sooner. Probes of `/readyz` do not count.",
        apply: |config, text| Ok(config.lame_duck_quiet(duration(text)?)),
    },
    Variable {
        name: "EXEUNT_MAX_ATTEMPTS",
        example: "3",
        default: "3",
        meaning: "How many stop signals force the end.",
        apply: |config, text| Ok(config.max_attempts(count(text)?)),
    },
    Variable {
        name: "EXEUNT_REPORT",
        example: "/var/lib/shop/report.json",
        default: "no file",
        meaning: "A file for the report of the stop (docs/report.md); the next start reads it.",
        apply: report,
    },
];

/// What service managers say (rules S1 to S8): not configuration, and read whoever installs the lifecycle.
pub(crate) const BY_MANAGERS: &[(&str, &str)] = &[
    (
        "NOTIFY_SOCKET",
        "Where the manager is told of readiness, reloads and the stop: the path of a socket, or `@name`.",
    ),
    ("WATCHDOG_USEC", "How often it wants to hear that the program is alive, in microseconds."),
    ("WATCHDOG_PID", "The process of which it wants that; without it, whoever reads this."),
    ("LISTEN_FDS", "How many sockets it has passed on, from descriptor 3 on (`systemd:NAME` as an address)."),
    ("LISTEN_PID", "The process that they are for."),
    ("LISTEN_FDNAMES", "Their names, separated by colons."),
];

impl Config {
    /// The defaults, and what the environment says.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::from_environment()?)?;
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`with_environment`](Self::with_environment).
    pub fn from_environment() -> Result<Self, EnvironmentError> {
        Self::default().with_environment()
    }

    /// This configuration, with what the environment says put over it: the operator has the last word, because the
    /// operator knows what kills the process and when.
    ///
    /// The variables are those of [`VARIABLES`]. Durations are written `25s`, `1m 30s` or `500ms`.
    ///
    /// ```
    /// use exeunt_lifecycle::Config;
    /// use std::time::Duration;
    ///
    /// // 10 s, unless the environment has an EXEUNT_GRACE.
    /// let config = Config::default().grace(Duration::from_secs(10)).with_environment()?;
    /// # drop(config);
    /// # Ok::<(), exeunt_lifecycle::EnvironmentError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first variable that cannot be read, or what they make of the configuration if that cannot be. A bad value
    /// never means the default.
    pub fn with_environment(self) -> Result<Self, EnvironmentError> {
        self.with_variables(|name| env::var_os(name))
    }

    fn with_variables(self, look_up: impl Fn(&str) -> Option<OsString>) -> Result<Self, EnvironmentError> {
        let mut config = self;
        let mut set = Vec::new();
        for variable in VARIABLES {
            let Some(value) = look_up(variable.name) else { continue };
            set.push(format!("{}={}", variable.name, value.to_string_lossy()));
            config = (variable.apply)(config, &value).map_err(|problem| EnvironmentError::Value {
                variable: variable.name,
                value,
                problem,
                example: variable.example,
            })?;
        }
        match config.validate() {
            Err(source) if !set.is_empty() => {
                Err(EnvironmentError::Together { variables: set.join(" "), source })
            }
            // What the program itself got wrong is told when the lifecycle is installed, and not blamed on anybody.
            _ => Ok(config),
        }
    }
}

/// What the environment says cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// A variable's value cannot be read.
    #[error(
        "the environment variable {variable}={value:?} cannot be used: {problem}; write something like {variable}={example}, or unset it"
    )]
    Value {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: OsString,
        /// What is wrong with it.
        problem: String,
        /// How it could look.
        example: &'static str,
    },
    /// Each value can be read, but the configuration that they make cannot be.
    #[error("the environment variables {variables} cannot be used: {source}")]
    Together {
        /// Those that are set, with their values.
        variables: String,
        /// What is wrong.
        source: ConfigError,
    },
}

fn grace(config: Config, text: &OsStr) -> Result<Config, String> {
    Ok(match text.to_str() {
        Some("systemd") => config.preset(Preset::Systemd),
        Some("docker") => config.preset(Preset::Docker),
        Some("kubernetes") => config.preset(Preset::Kubernetes),
        _ => config.grace(duration(text)?),
    })
}

#[cfg(feature = "report-file")]
fn report(config: Config, text: &OsStr) -> Result<Config, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(config.report_file(text))
}

#[cfg(not(feature = "report-file"))]
fn report(_: Config, _: &OsStr) -> Result<Config, String> {
    Err("cannot be used: this program was built without the feature report-file".to_owned())
}

fn duration(text: &OsStr) -> Result<Duration, String> {
    humantime::parse_duration(plain(text)?).map_err(|error| match error {
        humantime::DurationError::Empty => "it is empty".to_owned(),
        error => error.to_string(),
    })
}

fn count(text: &OsStr) -> Result<u32, String> {
    plain(text)?.parse().map_err(|error| format!("{error}"))
}

fn plain(text: &OsStr) -> Result<&str, String> {
    text.to_str().ok_or_else(|| "it is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: Config, variables: &[(&str, &str)]) -> Result<Config, EnvironmentError> {
        config.with_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn without_variables_the_program_has_its_way() {
        let config = Config::default().grace(Duration::from_secs(7));
        assert_eq!(read(config.clone(), &[]).unwrap(), config);
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let variables =
            [("EXEUNT_GRACE", "1m 30s"), ("EXEUNT_LAME_DUCK", "500ms"), ("EXEUNT_MAX_ATTEMPTS", "5")];
        let program = Config::default().grace(Duration::from_secs(7)).chain(true);
        let expected = Config::default()
            .grace(Duration::from_secs(90))
            .lame_duck(Duration::from_millis(500))
            .max_attempts(5)
            .chain(true);
        assert_eq!(read(program, &variables).unwrap(), expected);
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_it_and_not_a_default() {
        let cases = [
            (
                "EXEUNT_GRACE",
                "soon",
                "EXEUNT_GRACE=\"soon\" cannot be used: expected number at 0; write something like EXEUNT_GRACE=25s, or unset it",
            ),
            ("EXEUNT_GRACE", "25", "time unit needed"),
            ("EXEUNT_GRACE", "", "it is empty"),
            ("EXEUNT_GRACE", "-5s", "EXEUNT_GRACE=\"-5s\""),
            ("EXEUNT_GRACE", "0s", "EXEUNT_GRACE=0s cannot be used: a grace period of 0ns is out of range"),
            ("EXEUNT_LAME_DUCK", "1 fortnight", "EXEUNT_LAME_DUCK"),
            (
                "EXEUNT_LAME_DUCK",
                "20s",
                "EXEUNT_LAME_DUCK=20s cannot be used: a lame duck of 20s leaves no time",
            ),
            ("EXEUNT_MAX_ATTEMPTS", "three", "invalid digit"),
            ("EXEUNT_MAX_ATTEMPTS", "-1", "invalid digit"),
            ("EXEUNT_MAX_ATTEMPTS", "0", "max_attempts is 0"),
        ];
        for (name, value, says) in cases {
            let error = read(Config::default(), &[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} does not say {says:?}");
        }
    }

    #[test]
    fn what_the_program_got_wrong_is_not_blamed_on_the_environment() {
        let wrong = Config::default().max_attempts(0);
        assert_eq!(read(wrong.clone(), &[]).unwrap().validate(), Err(ConfigError::MaxAttempts));
        // And what it got wrong, the operator may put right.
        assert!(read(wrong, &[("EXEUNT_MAX_ATTEMPTS", "3")]).is_ok());
    }

    #[test]
    #[cfg(unix)]
    fn a_value_that_is_no_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt as _;
        let value = OsString::from_vec(vec![0xff]);
        let error = Config::default().with_variables(|_| Some(value.clone())).unwrap_err();
        assert!(error.to_string().contains("it is not UTF-8"), "{error}");
    }

    #[test]
    fn the_examples_can_be_read_and_the_defaults_are_the_defaults() {
        // That of the report takes a feature, and its default is no value; tests/report_file.rs reads it. That of the admin
        // listener has none either.
        assert!(read(Config::default(), &[("EXEUNT_ADMIN", "")]).is_err());
        let others = ["EXEUNT_ADMIN", "EXEUNT_REPORT"];
        for variable in VARIABLES.iter().filter(|variable| !others.contains(&variable.name)) {
            assert!(read(Config::default(), &[(variable.name, variable.example)]).is_ok(), "{variable:?}");
            assert_eq!(
                read(Config::default(), &[(variable.name, variable.default)]).unwrap(),
                Config::default(),
                "{variable:?}"
            );
        }
    }

    #[test]
    fn who_kills_the_program_says_how_long_it_may_take() {
        let grace = |value| read(Config::default(), &[("EXEUNT_GRACE", value)]).unwrap().limits.grace;
        assert_eq!(grace("docker"), Duration::from_secs(8));
        assert_eq!(grace("kubernetes"), Duration::from_secs(25));
        let error = read(Config::default(), &[("EXEUNT_GRACE", "Docker")]).unwrap_err();
        assert!(error.to_string().contains("EXEUNT_GRACE=\"Docker\" cannot be used"), "{error}");
    }

    /// `UPDATE_DOCS=1` writes the file instead.
    #[test]
    fn the_documentation_is_what_is_declared_here() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/environment.md");
        if env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(
            written == document(),
            "docs/environment.md is out of date; run this test with UPDATE_DOCS=1"
        );
    }

    fn document() -> String {
        let mut text = "# Environment variables\n\n\
            What an operator can set without a change to the program. They are read once, at the start. What they say \
            goes\nbefore what the program says, because the operator knows what kills the process and when. A value \
            that cannot be used\nis an error at the start, and never means the default.\n\n\
            Durations are written `25s`, `1m 30s` or `500ms`.\n\n\
            | variable | example | default | what it does |\n|---|---|---|---|\n"
            .to_owned();
        for Variable { name, example, default, meaning, .. } in VARIABLES {
            text += &format!("| `{name}` | `{example}` | {default} | {meaning} |\n");
        }
        text += "\n`exeunt::main` and `exeunt::main_blocking` read them by themselves. Other programs do so with\n\
            `Config::from_environment()`, or with `config.with_environment()` over defaults of their own.\n\n\
            ## From service managers\n\n\
            What systemd, and whoever speaks its protocol, says to the programs that it starts. The guide has a chapter on\n\
            [service managers](guide/service-managers.md).\n\n\
            | variable | what it says |\n|---|---|\n";
        for (name, meaning) in BY_MANAGERS {
            text += &format!("| `{name}` | {meaning} |\n");
        }
        text
    }
}

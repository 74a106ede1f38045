//! A runner's address and a version name a folder, and the version can never lead out of the address.

use std::path::PathBuf;

/// What stands for the version in an address.
const PLACEHOLDER: &str = "{version}";

/// Longest version, as everywhere in the product.
const MAX_VERSION_BYTES: usize = 256;

/// Why an address and a version name no folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The address is not one that this runner reads.
    #[error("the runner's address {address:?} {reason}; write it as file:///models/NAME/{{version}}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The version cannot be the name of a folder.
    #[error("the version {version:?} cannot name a folder: {reason}")]
    Version {
        /// The version.
        version: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such folder.
    #[error("there is no folder {0}")]
    NoFolder(String),
}

/// The folder of `version` under an address such as `file:///models/employment/{version}`.
///
/// # Errors
/// The address is not a `file://` one with an absolute path and exactly one `{version}`; the version is not a
/// plain name (it has a separator, begins with a dot, or holds control characters); or there is no such folder.
pub fn version_folder(address: &str, version: &str) -> Result<PathBuf, AddressError> {
    let wrong = |reason| AddressError::Address {
        address: address.to_owned(),
        reason,
    };
    let path = path_of(address)?;
    let (before, after) = path.split_once(PLACEHOLDER).ok_or_else(|| wrong("has no {version}"))?;
    if after.contains(PLACEHOLDER) {
        return Err(wrong("has {version} more than once"));
    }
    let before = percent_decoded(before).ok_or_else(|| wrong("has a wrong % escape"))?;
    let after = percent_decoded(after).ok_or_else(|| wrong("has a wrong % escape"))?;
    if [&before, &after].iter().any(|part| part.split('/').any(|name| name == "..")) {
        return Err(wrong("has a .. in it"));
    }
    check_version(version)?;
    let folder = PathBuf::from(format!("{before}{version}{after}"));
    if !folder.is_dir() {
        return Err(AddressError::NoFolder(folder.display().to_string()));
    }
    Ok(folder)
}

/// The folder of an address such as `file:///models/minilm`, in which `{version}` may stand for the version.
///
/// # Errors
/// As [`version_folder`], but that `{version}` may be left out.
pub fn folder(address: &str, version: &str) -> Result<PathBuf, AddressError> {
    if address.contains(PLACEHOLDER) {
        return version_folder(address, version);
    }
    let wrong = |reason| AddressError::Address {
        address: address.to_owned(),
        reason,
    };
    let path = percent_decoded(path_of(address)?).ok_or_else(|| wrong("has a wrong % escape"))?;
    let folder = PathBuf::from(path);
    if !folder.is_dir() {
        return Err(AddressError::NoFolder(folder.display().to_string()));
    }
    Ok(folder)
}

/// What follows the scheme.
fn path_of(address: &str) -> Result<&str, AddressError> {
    let wrong = |reason| AddressError::Address {
        address: address.to_owned(),
        reason,
    };
    let path = address.strip_prefix("file://").ok_or_else(|| wrong("is not a file:// address"))?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    if path.starts_with('/') {
        Ok(path)
    } else {
        Err(wrong("names a host or a relative path"))
    }
}

/// A version becomes part of one path component, so it may not end it or name a parent.
fn check_version(version: &str) -> Result<(), AddressError> {
    let reason = if version.is_empty() {
        "it is empty"
    } else if version.len() > MAX_VERSION_BYTES {
        "it is longer than 256 bytes"
    } else if version.contains(['/', '\\']) {
        "it has a path separator"
    } else if version.starts_with('.') {
        "it begins with a dot"
    } else if version.chars().any(char::is_control) {
        "it has control characters"
    } else {
        return Ok(());
    };
    Err(AddressError::Version {
        version: version.chars().take(MAX_VERSION_BYTES).collect(),
        reason,
    })
}

/// Undoes `%20` and the like; `None` when an escape is not two hex digits, is NUL, or the bytes are not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let escape = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(escape, 16).ok().filter(|&byte| byte != 0)?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders() -> (tempfile::TempDir, String) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("my models/1.0/export")).unwrap();
        std::fs::create_dir_all(root.path().join("secret")).unwrap();
        let address = format!("file://{}/my%20models/{{version}}", root.path().display());
        (root, address)
    }

    #[test]
    fn a_version_names_a_folder_under_the_address() {
        let (root, address) = folders();
        assert_eq!(version_folder(&address, "1.0").unwrap(), root.path().join("my models/1.0"));
        assert_eq!(
            version_folder(&format!("{address}/export"), "1.0").unwrap(),
            root.path().join("my models/1.0/export")
        );
    }

    #[test]
    fn a_version_never_leads_out_of_the_address() {
        let (_root, address) = folders();
        for version in [
            "..",
            "../secret",
            "1.0/../../secret",
            "..\\secret",
            "/etc",
            "",
            ".",
            "1.0/",
            "a\0b",
            "a\nb",
        ] {
            let error = version_folder(&address, version).unwrap_err();
            assert!(matches!(error, AddressError::Version { .. }), "{version:?}: {error}");
        }
        assert!(matches!(
            version_folder(&address, &"x".repeat(257)),
            Err(AddressError::Version { .. })
        ));
        // An escape in the version is a plain name, never decoded.
        assert!(matches!(version_folder(&address, "%2e%2e"), Err(AddressError::NoFolder(_))));
    }

    #[test]
    fn an_address_says_what_is_wrong_with_it() {
        for (address, reason) in [
            ("http://models/{version}", "is not a file:// address"),
            ("file://models/{version}", "names a host or a relative path"),
            ("file:///models/current", "has no {version}"),
            ("file:///m/{version}/{version}", "has {version} more than once"),
            ("file:///m/../etc/{version}", "has a .. in it"),
            ("file:///m/%2e%2e/{version}", "has a .. in it"),
            ("file:///m/%zz/{version}", "has a wrong % escape"),
        ] {
            assert!(
                matches!(version_folder(address, "1.0"), Err(AddressError::Address { reason: found, .. }) if found == reason),
                "{address}"
            );
        }
    }
}

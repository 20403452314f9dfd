//! How a bucket is reached, and what its server does with the data.

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, secret, set, switch, text};
use crate::config::values::s3::{ServerEncryption, customer_key, endpoint, proxy};
use crate::config::values::secret::Secret;
use crate::config::values::{number, path, string};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "S3",
    text: "",
    settings: &[
        SettingSpec {
            name: "s3-endpoint",
            value: "URL",
            unset: Unset::Described("AWS"),
            meaning: "The server; else AWS_ENDPOINT_URL of the environment, or the profile's.",
            note: "S3-compatible storage. Without an endpoint: AWS. Without a key: environment, profile files, web identity, \
                   container, instance metadata.",
            example: Example::Value("https://s3.example.com"),
            ..text(|to, text| set(&mut to.s3.endpoint, endpoint(text)))
        },
        SettingSpec {
            name: "s3-region",
            value: "NAME",
            unset: Unset::Described("us-east-1"),
            meaning: "The region; else AWS_REGION, or the profile's.",
            example: Example::Value("us-east-1"),
            ..text(|to, text| set(&mut to.s3.region, string(text)))
        },
        SettingSpec {
            name: "s3-access-key-id",
            value: "TEXT",
            unset: Unset::Described("see meaning"),
            meaning: "The key's name. Without it: s3-profile, the environment, the profile files, web identity, container and \
                      instance metadata, the first that is there.",
            example: Example::Value("key"),
            ..text(|to, text| set(&mut to.s3.access_key_id, string(text)))
        },
        SettingSpec {
            name: "s3-secret-access-key",
            value: "TEXT",
            unset: Unset::Described("none"),
            meaning: "The key itself.",
            example: Example::Value("secret"),
            ..secret(|to, text| set(&mut to.s3.secret_access_key, Ok(Secret::from(text.to_owned()))))
        },
        SettingSpec {
            name: "s3-session-token",
            value: "TEXT",
            unset: Unset::Described("none"),
            meaning: "The token of a temporary key.",
            example: Example::Value("token"),
            ..secret(|to, text| set(&mut to.s3.session_token, Ok(Secret::from(text.to_owned()))))
        },
        SettingSpec {
            name: "s3-profile",
            value: "NAME",
            unset: Unset::Described("none"),
            meaning: "A profile of ~/.aws/credentials and ~/.aws/config.",
            example: Example::Value("backup"),
            ..text(|to, text| set(&mut to.s3.profile, string(text)))
        },
        SettingSpec {
            name: "s3-ca-file",
            value: "FILE",
            unset: Unset::Described("the system's"),
            meaning: "PEM file of the authorities that are trusted in place of the system's.",
            example: Example::Value("/etc/mysql/s3-ca.pem"),
            ..text(|to, text| set(&mut to.s3.ca_file, path(text)))
        },
        SettingSpec {
            name: "s3-sse",
            value: "aes256 | aws:kms",
            unset: Unset::Described("none"),
            meaning: "Encryption by the server.",
            note: "Encryption by the server: aes256 or aws:kms; or a key of your own (openssl rand -base64 32), without which no \
                   backup can be read. s3-sse and s3-sse-customer-key exclude each other.",
            example: Example::Value("aws:kms"),
            ..text(|to, text| set(&mut to.s3.sse, text.parse::<ServerEncryption>()))
        },
        SettingSpec {
            name: "s3-sse-kms-key",
            value: "NAME",
            unset: Unset::Described("the bucket's"),
            meaning: "The key for aws:kms.",
            example: Example::Value("alias/backup"),
            ..text(|to, text| set(&mut to.s3.sse_kms_key, string(text)))
        },
        SettingSpec {
            name: "s3-sse-customer-key",
            value: "BASE64",
            unset: Unset::Described("none"),
            meaning: "A key of your own, 32 bytes in base64. Without it no backup can be read: keep it elsewhere too.",
            example: Example::Words("(44 characters)"),
            ..secret(|to, text| set(&mut to.s3.sse_customer_key, customer_key(text)))
        },
        SettingSpec {
            name: "s3-max-parts",
            value: "N",
            unset: Unset::Is("10000"),
            meaning: "Most parts that the server takes for one upload, 10 to 10000; some vendors take 1000.",
            note: "Some vendors take 1,000 parts for one upload.",
            ..text(|to, text| set(&mut to.s3.max_parts, number(text, &(10..=10_000u64))))
        },
        SettingSpec {
            name: "s3-path-style",
            unset: Unset::Described("on with s3-endpoint"),
            meaning: "Whether the bucket stands in the path of a URL and not in the name of the host.",
            note: "Whether the bucket stands in the path of a URL, and the proxy on the way to it.",
            example: Example::Value("on"),
            ..switch(|to, on| to.s3.path_style = Some(on))
        },
        // It may hold a password, and is never shown.
        SettingSpec {
            name: "s3-proxy",
            value: "URL | none",
            unset: Unset::Described("the environment's"),
            meaning: "A proxy on the way to the bucket, http[s]://[user:password@]host:port; without it https_proxy, http_proxy and \
                      all_proxy, as curl reads them; none: no proxy whatever they say. What no_proxy names is reached without.",
            example: Example::Value("http://proxy.example.com:3128"),
            secret: true,
            ..text(|to, text| set(&mut to.s3.proxy, proxy(text)))
        },
    ],
};

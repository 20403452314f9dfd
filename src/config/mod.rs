//! Option files, the environment and flags, resolved once into settings.

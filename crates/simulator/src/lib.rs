//! Genesys double.

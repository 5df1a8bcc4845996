"""The operator's door: `muster …`. The commands stand together by what a user does; `app` puts them on one board."""

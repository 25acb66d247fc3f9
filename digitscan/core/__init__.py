"""The ground floor: values, errors, configuration and geometry that every room shares."""

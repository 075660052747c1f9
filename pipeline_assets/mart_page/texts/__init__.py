"""What the page says, a YAML a view and language: ``<view>.<language>.yaml``."""

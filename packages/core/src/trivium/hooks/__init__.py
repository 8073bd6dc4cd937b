"""Plugging into Trivium: `hookimpl` marks what a plugin implements, `Plugins` is how the rest of core asks."""

from trivium.hooks.discovery import Failure, PluginInfo
from trivium.hooks.manager import Plugins
from trivium.hooks.spec import Command, StorageFactory, hookimpl

__all__ = ["Command", "Failure", "PluginInfo", "Plugins", "StorageFactory", "hookimpl"]

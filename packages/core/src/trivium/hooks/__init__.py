"""Plugging into Trivium: `hookimpl` marks what a plugin implements, `Plugins` is how the rest of core asks."""

from trivium.hooks.discovery import Failure, PluginInfo
from trivium.hooks.manager import Plugins
from trivium.hooks.spec import Command, Observer, StorageFactory, hookimpl

__all__ = ["Command", "Failure", "Observer", "PluginInfo", "Plugins", "StorageFactory", "hookimpl"]

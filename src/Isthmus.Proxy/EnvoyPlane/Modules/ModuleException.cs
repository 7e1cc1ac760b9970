namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>A module of Wasm cannot be had.</summary>
internal sealed class ModuleException(string message, Exception? inner = null) : Exception(message, inner);

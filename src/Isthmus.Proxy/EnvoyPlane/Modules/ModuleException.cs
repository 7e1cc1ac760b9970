namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>A Wasm module cannot be fetched.</summary>
internal sealed class ModuleException(string message, Exception? inner = null) : Exception(message, inner);

namespace Isthmus.Core.Names;

/// <summary>Variables by which the control plane tells agents how to get a module of Wasm. The names are Istio's.</summary>
public static class WasmVariables
{
    /// <summary>What the names of all variables for agents begin with.</summary>
    public const string Prefix = "ISTIO_META_";

    /// <summary>Credentials of registries, as in a Secret of the type <c>kubernetes.io/dockerconfigjson</c>; empty: the Secret is missing.</summary>
    public const string PullSecret = Prefix + "WASM_IMAGE_PULL_SECRET";

    public const string PullPolicy = Prefix + "WASM_IMAGE_PULL_POLICY";

    /// <summary>The version of the WasmPlugin.</summary>
    public const string Version = Prefix + "WASM_PLUGIN_RESOURCE_VERSION";
}

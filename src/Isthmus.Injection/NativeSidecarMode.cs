namespace Isthmus.Injection;

/// <summary>Whether injection writes proxies as native sidecars (Istio: ENABLE_NATIVE_SIDECARS).</summary>
public enum NativeSidecarMode
{
    /// <summary>Where the kubelets support them for good.</summary>
    Auto,

    /// <summary>Where the kubelets support them at all.</summary>
    Enabled,

    Disabled,
}

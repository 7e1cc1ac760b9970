namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>A module that a plugin needs.</summary>
/// <param name="Plugin">The name of the plugin's configuration.</param>
/// <param name="Url">Of <c>http</c>, <c>https</c> or <c>oci</c>.</param>
/// <param name="Sha256">What the module, or the image's manifest, must hash to; empty: anything.</param>
/// <param name="PullPolicy"><c>Always</c>, <c>IfNotPresent</c>, or empty.</param>
/// <param name="Version">The version of the plugin's object.</param>
/// <param name="Credentials">Of registries, as Docker writes them; null for none.</param>
internal sealed record ModuleRequest(string Plugin, string Url, string Sha256, string PullPolicy, string Version, string? Credentials)
{
    /// <summary>Whether a new version of the plugin gets the module again; as Kubernetes does with images, unless the policy says otherwise.</summary>
    public bool IsAlwaysPulled => PullPolicy switch
    {
        "Always" => true,
        "IfNotPresent" => false,
        _ => Scheme == "oci" && ImageReference.Parse(Url) is { Digest: "", Tag: "latest" },
    };

    public string Scheme => Url.Split("://")[0];

    /// <summary>It has credentials, so it must never be printed.</summary>
    public override string ToString() => Url;
}

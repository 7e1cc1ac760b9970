using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>What a registry is shown.</summary>
/// <param name="Basic">User and password, in base64; empty for none.</param>
/// <param name="Bearer">A token of the registry; empty for none.</param>
internal sealed record RegistryCredentials(string Basic, string Bearer)
{
    public static readonly RegistryCredentials None = new("", "");

    private const string DockerHub = "index.docker.io";

    /// <param name="text">As Docker writes them; null if there are none.</param>
    /// <param name="registry">The host of the registry, with its port.</param>
    /// <exception cref="ModuleException">They are malformed, or of a kind that is not supported.</exception>
    public static RegistryCredentials Read(string? text, string registry)
    {
        if (text is null) return None;
        try
        {
            if (StrictJson.Parse(text) is not JsonObject { } config || config["auths"] is not JsonObject hosts) return None;
            return hosts.FirstOrDefault(entry => IsFor(entry.Key, registry)).Value is JsonObject known ? Of(known, registry) : None;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new ModuleException("the Secret with credentials of registries is malformed", e);
        }
    }

    private static RegistryCredentials Of(JsonObject entry, string registry)
    {
        if (entry["registrytoken"]?.GetValue<string>() is { Length: > 0 } token) return new("", token);
        if (entry["identitytoken"]?.GetValue<string>() is { Length: > 0 })
            throw new ModuleException($"identity tokens, as the Secret has one for {registry}, are not supported: use a password or a registry token");
        if (entry["auth"]?.GetValue<string>() is { Length: > 0 } both)
        {
            _ = Convert.FromBase64String(both);
            return new(both, "");
        }
        var (user, password) = (entry["username"]?.GetValue<string>() ?? "", entry["password"]?.GetValue<string>() ?? "");
        return user.Length == 0 ? None : new(Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}")), "");
    }

    /// <summary>Keys are hosts, or URLs of older forms.</summary>
    private static bool IsFor(string key, string registry)
    {
        var scheme = key.IndexOf("://", StringComparison.Ordinal);
        var host = (scheme < 0 ? key : key[(scheme + 3)..]).Split('/')[0];
        return host == registry || (registry == DockerHub && host is "docker.io" or "registry-1.docker.io");
    }
}

using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Json;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>Removes secrets from what is packed: private keys, tokens, passwords, the values of Secrets, and the environment of applications.</summary>
internal static partial class Redaction
{
    internal const string Redacted = "[redacted]";

    /// <summary>Containers of the mesh, whose environment holds no secrets and explains what they do.</summary>
    private static readonly HashSet<string> MeshContainers = new(StringComparer.Ordinal)
    {
        "istio-proxy", "istio-init", "istio-validation", "discovery", "install-cni", "coredns"
    };

    /// <summary>Fields of any object whose value is a secret. In lower case, without underscores.</summary>
    private static readonly HashSet<string> SecretFields = new(StringComparer.Ordinal)
    {
        "privatekey", "password", "accesstoken", "clientsecret", "secretkey", "apikey"
    };

    /// <summary>Removes what has the form of a secret, wherever it stands.</summary>
    internal static string Text(string text)
    {
        if (text.Contains("PRIVATE KEY", StringComparison.Ordinal)) text = PrivateKey().Replace(text, Redacted);
        if (text.Contains("LS0tLS1CRUdJTi", StringComparison.Ordinal))
            text = EncodedPem().Replace(text, match => HoldsKey(match.Value) ? Redacted : match.Value);
        if (text.Contains("eyJ", StringComparison.Ordinal)) text = Token().Replace(text, Redacted);
        return Assignment().Replace(Credentials().Replace(text, $"$1{Redacted}"), $"$1{Redacted}");
    }

    /// <summary>Changes the tree itself.</summary>
    internal static JsonNode Tree(JsonNode tree)
    {
        switch (tree)
        {
            case JsonObject map:
                Map(map);
                break;
            case JsonArray list:
                foreach (var item in list)
                    if (item is not null) Tree(item);
                break;
            default: break;
        }
        return tree;
    }

    private static void Map(JsonObject map)
    {
        foreach (var (name, value) in map.ToList())
        {
            if (value is null) continue;
            if (SecretFields.Contains(name.Replace("_", "", StringComparison.Ordinal).ToLowerInvariant())) map[name] = Redacted;
            else if (name is "containers" or "initContainers" or "ephemeralContainers" && value is JsonArray containers) Environment(containers);
            else if (value is JsonValue && value.ToString() is var text && text.Contains("\"oct\"", StringComparison.Ordinal)) map[name] = SymmetricKeys(text);
            if (map[name] is { } kept) Tree(kept);
        }
    }

    private static void Environment(JsonArray containers)
    {
        foreach (var container in containers.OfType<JsonObject>().Where(container => !MeshContainers.Contains(container["name"]?.ToString() ?? "")))
            foreach (var variable in (container["env"] as JsonArray ?? []).OfType<JsonObject>().Where(variable => variable["value"] is not null))
                variable["value"] = Redacted;
    }

    /// <summary>Replaces the secrets in a set of JSON Web Keys (RFC 7517), which stays one: whoever has such a key can sign tokens.</summary>
    private static string SymmetricKeys(string text)
    {
        try
        {
            var set = StrictJson.Parse(text) as JsonObject;
            foreach (var key in (set?["keys"] as JsonArray ?? []).OfType<JsonObject>().Where(key => key["kty"]?.ToString() == "oct"))
                key["k"] = new string('A', 43);
            return set?.ToJsonString() ?? Redacted;
        }
        catch (JsonException)
        {
            return Redacted;
        }
    }

    private static bool HoldsKey(string base64)
    {
        var bytes = new byte[base64.Length];
        var whole = base64.TrimEnd('=');
        whole = whole[..(whole.Length / 4 * 4)];
        return !Convert.TryFromBase64String(whole, bytes, out var length)
            || Encoding.ASCII.GetString(bytes, 0, length).Contains("PRIVATE KEY", StringComparison.Ordinal);
    }

    // A quotation mark ends the string of a document in which the text stands.
    [GeneratedRegex("""-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^"]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|(?="|\z))""")]
    private static partial Regex PrivateKey();

    [GeneratedRegex("LS0tLS1CRUdJTi[A-Za-z0-9+/=]+")]
    private static partial Regex EncodedPem();

    [GeneratedRegex(@"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")]
    private static partial Regex Token();

    [GeneratedRegex("""(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}""")]
    private static partial Regex Credentials();

    [GeneratedRegex("""(?i)(\b(?:password|passwd|api[-_]?key|client[-_]?secret|access[-_]?token)=)[^\s&"'\\]+""")]
    private static partial Regex Assignment();
}

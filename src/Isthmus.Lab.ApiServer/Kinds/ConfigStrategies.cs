using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>ConfigMaps: keys, size, and nothing changes once immutable.</summary>
internal sealed class ConfigMapStrategy : ObjectStrategy
{
    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var (data, binary) = (o["data"] as JsonObject ?? [], o["binaryData"] as JsonObject ?? []);
        foreach (var key in data.Select(pair => pair.Key).Where(binary.ContainsKey))
            yield return FieldError.Invalid(ConfigData.Path("data", key), key, "duplicate of key present in binaryData");
        foreach (var error in ConfigData.Keys("data", data).Concat(ConfigData.Keys("binaryData", binary))) yield return error;
        var size = data.Sum(pair => (long)Encoding.UTF8.GetByteCount(Json.Text(pair.Value))) + binary.Sum(pair => ConfigData.DecodedLength(pair.Value));
        if (size > ConfigData.MaxSize) yield return FieldError.TooLong("[]", ConfigData.MaxSize);
    }

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context) =>
        ConfigData.Immutable(old, next, "data", "binaryData");
}

/// <summary>Secrets: texts become data, types have their keys, the type never changes.</summary>
internal sealed class SecretStrategy : ObjectStrategy
{
    private const string AccountAnnotation = "kubernetes.io/service-account.name";

    public override void Default(JsonObject o)
    {
        if (o["stringData"] is JsonObject texts)
        {
            if (texts.Count > 0)
            {
                var data = o.Ensure("data");
                foreach (var (key, value) in texts) data[key] = Convert.ToBase64String(Encoding.UTF8.GetBytes(Json.Text(value)));
            }
            o.Remove("stringData");
        }
        if (Json.Text(o["type"]).Length == 0) o["type"] = "Opaque";
    }

    public override void PrepareForUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
        if (Json.Text(next["type"]).Length == 0) Restore(old, next, "type");
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var data = o["data"] as JsonObject ?? [];
        foreach (var error in ConfigData.Keys("data", data)) yield return error;
        if (data.Sum(pair => ConfigData.DecodedLength(pair.Value)) > ConfigData.MaxSize) yield return FieldError.TooLong("data", ConfigData.MaxSize);
        foreach (var key in RequiredKeys(Json.Text(o["type"])).Where(key => data[key] is null))
            yield return FieldError.Required(ConfigData.Path("data", key));
        if (Json.Text(o["type"]) == "kubernetes.io/service-account-token" && o.TextAt("metadata", "annotations", AccountAnnotation).Length == 0)
            yield return FieldError.Required($"metadata.annotations[{AccountAnnotation}]");
    }

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context) =>
        Check.Unchanged("type", old["type"], next["type"]).Concat(ConfigData.Immutable(old, next, "data"));

    private static string[] RequiredKeys(string type) => type switch
    {
        "kubernetes.io/tls" => ["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => [".dockerconfigjson"],
        "kubernetes.io/dockercfg" => [".dockercfg"],
        "kubernetes.io/ssh-auth" => ["ssh-privatekey"],
        _ => [],
    };
}

/// <summary>What ConfigMaps and Secrets have in common.</summary>
internal static class ConfigData
{
    /// <summary>Bytes of all values together: 1 MiB.</summary>
    public const int MaxSize = 1024 * 1024;

    private const string ImmutableText = "field is immutable when `immutable` is set";

    public static string Path(string field, string key) => $"{field}[{key}]";

    public static IEnumerable<FieldError> Keys(string field, JsonObject data) =>
        from key in data.Select(pair => pair.Key)
        let problem = Check.ConfigKeyProblem(key)
        where problem is not null
        select FieldError.Invalid(Path(field, key), key, problem);

    public static IEnumerable<FieldError> Immutable(JsonObject old, JsonObject next, params string[] fields)
    {
        if (Json.Truth(old["immutable"]) != true) yield break;
        if (Json.Truth(next["immutable"]) != true) yield return FieldError.Forbidden("immutable", ImmutableText);
        foreach (var field in fields)
            if (!JsonNode.DeepEquals(old[field], next[field])) yield return FieldError.Forbidden(field, ImmutableText);
    }

    public static long DecodedLength(JsonNode? base64) => Json.Text(base64).Length * 3L / 4;
}

/// <summary>ServiceAccounts have no rules but that DELETE answers with them.</summary>
internal sealed class ServiceAccountStrategy : ObjectStrategy
{
    public override bool DeleteReturnsObject => true;
}

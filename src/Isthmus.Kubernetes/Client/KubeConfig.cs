using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Kubernetes.Client;

/// <summary>Reads kubeconfig files as kubectl does: <c>--kubeconfig</c>, else every file in <c>$KUBECONFIG</c>, else
/// <c>~/.kube/config</c>.</summary>
public static class KubeConfig
{
    private const string ServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>The files that apply, whether they exist or not.</summary>
    public static IReadOnlyList<string> Files(string? explicitFile, Func<string, string?> environment)
    {
        if (!string.IsNullOrEmpty(explicitFile)) return [explicitFile];
        if (environment("KUBECONFIG") is { Length: > 0 } list)
        {
            return list.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        }
        return [Path.Combine(Home(environment), ".kube", "config")];
    }

    /// <summary>On Windows, kubectl uses these variables, too.</summary>
    private static string Home(Func<string, string?> environment)
    {
        if (environment("HOME") is { Length: > 0 } home) return home;
        if (environment("USERPROFILE") is { Length: > 0 } profile) return profile;
        return environment("HOMEDRIVE") is { Length: > 0 } drive ? drive + environment("HOMEPATH") : "/";
    }

    /// <summary>Loads and merges the files (the first file that sets a field wins), and selects the context.</summary>
    public static ClusterAccess Load(string? explicitFile, string? context, Func<string, string?> environment)
    {
        var files = Files(explicitFile, environment);
        // The path of a directory is a mistake. The error of reading it says so.
        var existing = files.Where(Path.Exists).ToList();
        if (existing.Count == 0)
        {
            if (explicitFile is null && context is null && InCluster(environment) is { } inside) return inside;
            MustExist(explicitFile, environment);
        }
        var merged = new JsonObject();
        foreach (var file in existing) Merge(merged, ReadFile(file), Path.GetDirectoryName(Path.GetFullPath(file))!);
        return Pick(merged, context, string.Join(Path.PathSeparator, existing));
    }

    /// <exception cref="ProblemException">None of the files exists.</exception>
    public static void MustExist(string? explicitFile, Func<string, string?> environment)
    {
        var files = Files(explicitFile, environment);
        if (files.Any(Path.Exists)) return;
        var isList = explicitFile?.Contains(Path.PathSeparator, StringComparison.Ordinal) == true && explicitFile.Split(Path.PathSeparator).Any(Path.Exists);
        throw new ProblemException($"kubeconfig {string.Join(Path.PathSeparator, files)}", "does not exist",
            isList
                ? $"--kubeconfig names one file; for several, set KUBECONFIG={explicitFile}"
                : "use --kubeconfig, set KUBECONFIG, or create a cluster with 'isthmus lab up'");
    }

    /// <summary>Names of the contexts in file order.</summary>
    public static IReadOnlyList<string> Contexts(string? explicitFile, Func<string, string?> environment)
    {
        var merged = new JsonObject();
        foreach (var file in Files(explicitFile, environment).Where(File.Exists)) Merge(merged, ReadFile(file), "/");
        return [.. Entries(merged, "contexts").Select(entry => Text(entry, "name") ?? "")];
    }

    /// <summary>Reads the text of one kubeconfig. Paths in it stay unchanged.</summary>
    public static ClusterAccess Parse(string text, string? context, string source) =>
        Pick(YamlText.Parse(text, source) as JsonObject
            ?? throw new ProblemException(source, "is not a kubeconfig (expected a YAML mapping with clusters, users and contexts)"), context, source);

    /// <summary>The ServiceAccount of the Pod that this process runs in, or null outside a Pod.</summary>
    public static ClusterAccess? InCluster(Func<string, string?> environment)
    {
        if (environment("KUBERNETES_SERVICE_HOST") is not { Length: > 0 } host) return null;
        var token = Path.Combine(ServiceAccountFolder, "token");
        if (!File.Exists(token)) return null;
        return new ClusterAccess
        {
            Server = new Uri($"https://{host}:{environment("KUBERNETES_SERVICE_PORT") ?? "443"}"),
            CertificateAuthority = File.ReadAllText(Path.Combine(ServiceAccountFolder, "ca.crt")),
            TokenFile = token,
            Namespace = File.Exists($"{ServiceAccountFolder}/namespace") ? File.ReadAllText($"{ServiceAccountFolder}/namespace").Trim() : "default",
            Name = "in-cluster",
        };
    }

    private static JsonObject ReadFile(string file) => YamlText.Parse(InputFile.Read($"kubeconfig {file}", file), file) as JsonObject ?? [];

    private static void Merge(JsonObject into, JsonObject file, string folder)
    {
        foreach (var list in (string[])["clusters", "users", "contexts"])
        {
            var target = into[list] as JsonArray ?? (JsonArray)(into[list] = new JsonArray())!;
            foreach (var entry in Entries(file, list))
            {
                if (target.Any(known => Text(known, "name") == Text(entry, "name"))) continue;
                var copy = (JsonObject)entry.DeepClone();
                foreach (var key in (string[])["certificate-authority", "client-certificate", "client-key", "tokenFile"])
                {
                    foreach (var part in (string[])["cluster", "user"])
                    {
                        // A relative path is relative to the file that contains it.
                        if (copy[part] is JsonObject owner && Text(owner, key) is { Length: > 0 } path) owner[key] = Path.Combine(folder, path);
                    }
                }
                target.Add((JsonNode)copy);
            }
        }
        if (string.IsNullOrEmpty(Text(into, "current-context"))) into["current-context"] = file["current-context"]?.DeepClone();
    }

    private static ClusterAccess Pick(JsonObject config, string? context, string source)
    {
        var name = context ?? Text(config, "current-context");
        if (string.IsNullOrEmpty(name))
            throw new ProblemException($"kubeconfig {source}", "has no current-context", "use --context, or run 'kubectl config use-context NAME'");
        var found = Entry(config, "contexts", name)?["context"] as JsonObject;
        if (found is null)
        {
            var known = string.Join(", ", Entries(config, "contexts").Select(entry => Text(entry, "name")));
            throw new ProblemException($"kubeconfig {source}", $"context \"{name}\" does not exist",
                known.Length == 0 ? "it has no contexts" : $"contexts are: {known}");
        }
        var clusterName = Text(found, "cluster") ?? "";
        var userName = Text(found, "user") ?? "";
        var cluster = Entry(config, "clusters", clusterName)?["cluster"] as JsonObject
            ?? throw new ProblemException($"kubeconfig {source}", $"contexts[{name}].context.cluster: cluster \"{clusterName}\" does not exist",
                "add it, or fix the context");
        var user = Entry(config, "users", userName)?["user"] as JsonObject ?? [];
        return Access(cluster, user, $"kubeconfig {source}", name) with { Namespace = Text(found, "namespace") is { Length: > 0 } ns ? ns : "default" };
    }

    private static ClusterAccess Access(JsonObject cluster, JsonObject user, string source, string name)
    {
        var server = Text(cluster, "server") ?? "";
        if (!Uri.TryCreate(server, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
            throw new ProblemException(source, $"clusters[].cluster.server \"{server}\" is not an http(s) address",
                "use the address of the API server, for example https://10.0.0.1:6443");
        var proxy = Text(cluster, "proxy-url");
        if (!string.IsNullOrEmpty(proxy) && (!Uri.TryCreate(proxy, UriKind.Absolute, out var way) || way.Scheme is not ("http" or "https" or "socks5")))
            throw new ProblemException(source, $"clusters[].cluster.proxy-url \"{proxy}\" is not a valid address",
                "use an address such as http://127.0.0.1:8080, or remove the field");
        return new ClusterAccess
        {
            Name = name,
            Server = uri,
            Proxy = string.IsNullOrEmpty(proxy) ? null : new Uri(proxy),
            TlsServerName = Text(cluster, "tls-server-name"),
            InsecureSkipTlsVerify = Flag(cluster, "insecure-skip-tls-verify"),
            CertificateAuthority = Pem(cluster, "certificate-authority", source),
            Token = HeaderText(user, "token"),
            TokenFile = Text(user, "tokenFile"),
            ClientCertificate = Pem(user, "client-certificate", source),
            ClientKey = Pem(user, "client-key", source),
            Username = Text(user, "username"),
            Password = Text(user, "password"),
            Impersonate = HeaderText(user, "as"),
            Exec = user["exec"] is JsonObject exec ? Exec(exec) : null,
        };
    }

    private static ExecCredential Exec(JsonObject exec) => new(
        Text(exec, "apiVersion") ?? "",
        Text(exec, "command") ?? "",
        (exec["args"] as JsonArray ?? []).Select(arg => arg?.ToString() ?? "").ToValueList(),
        (exec["env"] as JsonArray ?? []).Select(env => KeyValuePair.Create(Text(env, "name") ?? "", Text(env, "value") ?? "")).ToValueMap());

    private static string? Pem(JsonObject owner, string key, string source)
    {
        if (Text(owner, $"{key}-data") is { Length: > 0 } data)
        {
            var bytes = new byte[data.Length];
            if (!Convert.TryFromBase64String(data, bytes, out var length))
                throw new ProblemException(source, $"{key}-data is not base64", "copy the kubeconfig again");
            return Encoding.UTF8.GetString(bytes, 0, length);
        }
        if (Text(owner, key) is not { Length: > 0 } path) return null;
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProblemException(source, $"{key} \"{path}\": {e.Message}", "check the file and its permissions", e);
        }
    }

    private static IEnumerable<JsonObject> Entries(JsonObject config, string list) => (config[list] as JsonArray ?? []).OfType<JsonObject>();

    private static JsonObject? Entry(JsonObject config, string list, string name) =>
        Entries(config, list).FirstOrDefault(entry => Text(entry, "name") == name);

    // Kubeconfigs can come from elsewhere (remote secrets), so every malformed one must end in an error message. Messages
    // contain no values: one may be a credential.
    private static string? Text(JsonNode? owner, string key) => (owner as JsonObject)?[key] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out string? text) => text,
        var other => throw new ProblemException(new Problem("", "kubeconfig", key, $"should be text, not {other.GetValueKind()}",
            "quote the value, or copy the kubeconfig again")),
    };

    /// <summary>Text for a request header. Otherwise, only the first request would find a line break that an editor
    /// left.</summary>
    private static string? HeaderText(JsonObject user, string key) => Text(user, key) is { } value && !IsHeaderText(value)
        ? throw new ProblemException(new Problem("", "kubeconfig", key, "has a line break or another character that cannot be sent",
            "copy it again, on one line"))
        : Text(user, key);

    internal static bool IsHeaderText(string value) => value.All(character => character is >= ' ' and <= '~');

    private static bool Flag(JsonObject owner, string key) => owner[key] switch
    {
        null => false,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        var other => throw new ProblemException(new Problem("", "kubeconfig", key, $"should be true or false, not {other.GetValueKind()}",
            "write true or false, without quotes")),
    };
}

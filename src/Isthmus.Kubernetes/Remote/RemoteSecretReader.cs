using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Kubernetes.Remote;

/// <summary>Reads remote secrets. Their kubeconfigs come from elsewhere: they must never run a program or read a file here.</summary>
public static class RemoteSecretReader
{
    /// <summary>The clusters of one Secret (each data key is one) and the problems of those that are skipped.</summary>
    public static (IReadOnlyList<MeshCluster> Clusters, IReadOnlyList<(string Cluster, Problem Problem)> Problems) Read(Secret secret, string ownCluster)
    {
        var (clusters, problems) = (new List<MeshCluster>(), new List<(string, Problem)>());
        foreach (var id in secret.Data.Keys.Order(StringComparer.Ordinal))
        {
            // A control plane already knows its own cluster.
            if (id == ownCluster) continue;
            try
            {
                var bytes = secret.Bytes(id) ?? throw new ProblemException("", "is not base64");
                clusters.Add(new(id, secret.Key, Access(Encoding.UTF8.GetString(bytes), id, $"data[{id}]")));
            }
            catch (ProblemException e)
            {
                problems.Add((id, new("ISM0301", $"Secret {secret.Key}", $"data[{id}]", Detail(e.Problem),
                    $"create it again with 'isthmus create-remote-secret --name={id}' and apply it here")));
            }
        }
        return (clusters, problems);
    }

    /// <summary>A message with the field that it is about.</summary>
    public static string Detail(Problem problem) => problem.Path.Length == 0 ? problem.Message : $"{problem.Path}: {problem.Message}";

    /// <summary>The access to the cluster <paramref name="id"/> by its kubeconfig.</summary>
    /// <exception cref="ProblemException">It cannot be used.</exception>
    public static ClusterAccess Access(string text, string id, string source)
    {
        if (text.Length == 0) throw new ProblemException("", "is empty (expected a kubeconfig)");
        RequireSelfContained(text, source);
        var access = KubeConfig.Parse(text, null, source) with { Name = id };
        try
        {
            // Certificates and keys are otherwise parsed only on connect, and a watch is too late to find out that they are invalid.
            using var probe = new KubeClient(access);
        }
        catch (CryptographicException e)
        {
            throw new ProblemException("", $"has a certificate or key that cannot be read: {e.Message}", "", e);
        }
        return access;
    }

    /// <summary>Checked on the tree before anything is resolved, so that no file is opened on behalf of a Secret (Istio's sanitising rules), whether a
    /// control plane or a command reads it.</summary>
    /// <exception cref="ProblemException">The kubeconfig names a file or a program of the machine, or trusts any server.</exception>
    public static void RequireSelfContained(string text, string source)
    {
        var config = YamlText.Parse(text, source) as JsonObject
            ?? throw new ProblemException("", "is not a kubeconfig (expected a YAML mapping with clusters, users and contexts)");
        foreach (var entry in (config["users"] as JsonArray ?? []).OfType<JsonObject>())
        {
            var user = entry["user"] as JsonObject ?? [];
            foreach (var (field, why) in (ReadOnlySpan<(string, string)>)
            [
                ("exec", "would run a program of the machine that reads it"),
                ("auth-provider", "would run a credential plugin of the machine that reads it"),
                ("tokenFile", "would read a file of the machine that reads it"),
                ("client-certificate", "would read a file of the machine that reads it"),
                ("client-key", "would read a file of the machine that reads it"),
            ])
            {
                if (user.ContainsKey(field)) throw new ProblemException(new Problem("", "", $"users[{entry["name"]}].user.{field}", why + " and is rejected"));
            }
        }
        foreach (var entry in (config["clusters"] as JsonArray ?? []).OfType<JsonObject>())
        {
            if (entry["cluster"] is not JsonObject cluster) continue;
            if (cluster["insecure-skip-tls-verify"]?.ToString() == "true")
                throw new ProblemException(new Problem("", "", $"clusters[{entry["name"]}].cluster.insecure-skip-tls-verify",
                    "would send the token to an unverified server and is rejected; use certificate-authority-data"));
            if (cluster.ContainsKey("certificate-authority"))
                throw new ProblemException(new Problem("", "", $"clusters[{entry["name"]}].cluster.certificate-authority",
                    "would read a file of the machine that reads it and is rejected; use certificate-authority-data"));
        }
    }

    /// <summary>The selector of remote secrets.</summary>
    public const string Selector = Labels.MultiCluster + "=true";
}

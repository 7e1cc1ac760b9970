using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why the proxy of a gateway cannot read the files of a certificate. The code is that of a proxy without a certificate.</summary>
internal sealed class FileCauses(TraceFacts facts, TraceNeeds needs)
{
    /// <param name="owner">The Gateway.</param>
    /// <param name="field">That of the server's TLS.</param>
    /// <param name="tls">What the server says of TLS.</param>
    /// <param name="secret">The name by which the proxy asks for what it does not get.</param>
    /// <returns>Null when the Gateway names no such file, or a Secret must be looked at first.</returns>
    public Problem? Unread(string owner, string field, ServerTls tls, string secret)
    {
        var asked = secret.Split(':', 2) is ["file-cert" or "file-root", var paths] ? paths.Split('~') : [];
        var named = tls.NamedFiles.Where(file => asked.Contains(file.Path)).Select(file => (file.Field, File: ProxyFile.In(facts.ClientPod.Spec, file.Path)))
            .ToList();
        if (named.Count == 0) return null;
        // Of a certificate and its key, one that cannot be there is the cause.
        foreach (var (name, file) in named.Where(one => one.File.Volume is null))
        {
            return Faults.Of("ISM2060", owner, $"{field}.{name}",
                $"is {file.Path}, which {facts.Client} does not have: no volume is mounted there, so it refuses TLS", file.Remedy(facts.Client.Namespace));
        }
        foreach (var (name, file) in named)
        {
            if (Source(file.Volume!) is not var (kind, source, keys)) continue;
            var said = $"is {file.Path}, in volume {file.Volume!.Name} of {facts.Client}";
            if (needs.Held(new(facts.Client.Context, kind, facts.Client.Namespace, source)) is not { } held) return null;
            var of = $"{kind} {facts.Client.Namespace}/{source}";
            if (held.IsMissing)
                return Faults.Of("ISM2060", owner, $"{field}.{name}", $"{said}, which is {of}: it does not exist, so the gateway refuses TLS",
                    $"create it, with the key {KeyOf(keys, file.Inner)}; or write credentialName with another Secret of that namespace");
            if (held.Keys.Count > 0 && !held.Keys.Contains(KeyOf(keys, file.Inner)))
                return Faults.Of("ISM2060", owner, $"{field}.{name}",
                    $"{said}, which is {of}: that has {string.Join(", ", held.Keys)}, and no {KeyOf(keys, file.Inner)}, so the gateway refuses TLS",
                    $"write the path of a file that the volume has, or add the key {KeyOf(keys, file.Inner)} to {of}");
        }
        var (first, other) = (named[0].File, named[^1].File);
        return Faults.Of("ISM2060", owner, $"{field}.{named[0].Field}",
            $"is {first.Path}, which the proxy of {facts.Client} could not use{(first == other ? "" : $" with {other.Path}")}, so it refuses TLS",
            $"see what it says of the files: kubectl --context={facts.Client.Context} -n {facts.Client.Namespace} logs {facts.Client.Name} -c istio-proxy");
    }

    /// <summary>The one object whose keys are the files of a volume; null when there is none, or several.</summary>
    private static (string Kind, string Name, List<KeyToPath> Keys)? Source(Volume volume) =>
        volume.Secret is { } secret ? ("Secret", secret.SecretName, secret.Items)
        : volume.ConfigMap is { } map ? ("ConfigMap", map.Name, map.Items) : null;

    private static string KeyOf(List<KeyToPath> keys, string path) => keys.Find(one => one.Path == path)?.Key ?? path;
}

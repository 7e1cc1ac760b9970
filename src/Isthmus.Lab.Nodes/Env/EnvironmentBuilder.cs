using System.Text;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Api;

namespace Isthmus.Lab.Nodes.Env;

/// <summary>The environment of one container: from the image, Services, envFrom and env. Later sources override earlier ones.</summary>
internal sealed class EnvironmentBuilder(PodFacts facts, IClusterView cluster)
{
    /// <exception cref="ConfigurationException">A ConfigMap, Secret or key that is not optional is missing.</exception>
    internal Dictionary<string, string> Build(Container container, IReadOnlyDictionary<string, string> image)
    {
        var values = new Dictionary<string, string>(image, StringComparer.Ordinal);
        var ns = facts.Pod.Metadata.Namespace;
        foreach (var (name, value) in ServiceLinks.For(cluster.Services(), ns, facts.Pod.Spec.EnableServiceLinks ?? true)) values[name] = value;
        foreach (var source in container.EnvFrom) AddAll(values, source, ns);
        foreach (var variable in container.Env)
        {
            if (variable.ValueFrom is not { } from) values[variable.Name] = Expansion.Expand(variable.Value ?? "", values);
            else if (Value(from, container, ns) is { } value) values[variable.Name] = value;
        }
        return values;
    }

    private void AddAll(Dictionary<string, string> values, EnvFromSource source, string ns)
    {
        if (source.ConfigMapRef is { } map)
        {
            var found = cluster.ConfigMap(ns, map.Name);
            if (found is null && map.Optional != true) throw new ConfigurationException($"configmap \"{map.Name}\" not found");
            foreach (var (key, value) in found?.Data ?? []) AddOne(values, source.Prefix + key, value);
        }
        if (source.SecretRef is { } reference)
        {
            var found = cluster.Secret(ns, reference.Name);
            if (found is null && reference.Optional != true) throw new ConfigurationException($"secret \"{reference.Name}\" not found");
            foreach (var key in found?.Data.Keys ?? Enumerable.Empty<string>()) AddOne(values, source.Prefix + key, Text(found!.Bytes(key)));
        }
    }

    // A key that is not a valid variable name is skipped, as in Kubernetes.
    private static void AddOne(Dictionary<string, string> values, string name, string value)
    {
        if (name.Length > 0 && !name.Contains('=', StringComparison.Ordinal)) values[name] = value;
    }

    private string? Value(EnvVarSource from, Container container, string ns)
    {
        if (from.FieldRef is { } field) return DownwardApi.Field(facts, field.FieldPath);
        if (from.ResourceFieldRef is { } resource) return DownwardApi.Resource(facts, resource, container);
        if (from.ConfigMapKeyRef is { } map)
        {
            var found = cluster.ConfigMap(ns, map.Name);
            if (found is not null && found.Data.TryGetValue(map.Key, out var value)) return value;
            return map.Optional == true ? null : throw Missing("configmap", "ConfigMap", map, ns, found is not null);
        }
        if (from.SecretKeyRef is { } secret)
        {
            var found = cluster.Secret(ns, secret.Name);
            if (found?.Bytes(secret.Key) is { } bytes) return Text(bytes);
            return secret.Optional == true ? null : throw Missing("secret", "Secret", secret, ns, found is not null);
        }
        throw new ConfigurationException("valueFrom has no source");
    }

    private static ConfigurationException Missing(string lower, string kind, KeySelector selector, string ns, bool found) =>
        new(found ? $"couldn't find key {selector.Key} in {kind} {ns}/{selector.Name}" : $"{lower} \"{selector.Name}\" not found");

    private static string Text(byte[]? bytes) => bytes is null ? "" : Encoding.UTF8.GetString(bytes);
}

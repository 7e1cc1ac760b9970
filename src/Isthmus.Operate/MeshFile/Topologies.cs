using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Operate.MeshFile;

/// <summary>The named topologies, as mesh files. They use nothing that a user's file cannot.</summary>
public static class Topologies
{
    private sealed record Shape(int Fewest, bool HasRemotes, bool HasNetworks, string Join = "", bool IsExternal = false);

    private static readonly IReadOnlyDictionary<string, Shape> Shapes = new Dictionary<string, Shape>(StringComparer.Ordinal)
    {
        ["multi-primary"] = new(1, HasRemotes: false, HasNetworks: false),
        ["multi-primary-multi-network"] = new(1, HasRemotes: false, HasNetworks: true),
        ["primary-remote"] = new(2, HasRemotes: true, HasNetworks: false),
        ["primary-remote-multi-network"] = new(2, HasRemotes: true, HasNetworks: true),
        ["external-control-plane"] = new(2, HasRemotes: false, HasNetworks: true, IsExternal: true),
        ["replicated-control-planes"] = new(1, HasRemotes: false, HasNetworks: true, Join: "names"),
    };

    public static IReadOnlyList<string> Names { get; } = [.. Shapes.Keys];

    /// <summary>A mesh file to begin with. A new mesh has no objects yet that configure hosts of other namespaces, so that it can begin without.</summary>
    /// <param name="name">The topology.</param>
    /// <param name="clusters">How many clusters.</param>
    /// <param name="profile">The profile of every control plane; empty: the default.</param>
    public static string Template(string name, int clusters, string profile)
    {
        var install = profile.Length > 0 ? new JsonObject { ["profile"] = profile } : [];
        install["meshConfig"] = new JsonObject { ["hostOwnership"] = "NAMESPACE" };
        return Write(name, clusters, install);
    }

    /// <summary>A mesh of <c>cluster1</c>, <c>cluster2</c>, … If only one is a primary, it is the first.</summary>
    /// <param name="install">Fields of an IstioOperator spec for every control plane.</param>
    public static string Write(string name, int clusters, JsonObject? install = null)
    {
        if (!Shapes.TryGetValue(name, out var shape))
            throw new WrongUseException($"topology '{name}'", "does not exist",
                $"topologies: {string.Join(", ", Names)}; the path of a mesh file contains '/' or ends in .yaml");
        if (clusters < shape.Fewest) throw new WrongUseException("--clusters", $"{clusters} is too few for {name}", $"use {shape.Fewest} or more");
        var spec = new JsonObject();
        if (shape.Join.Length > 0) spec["join"] = shape.Join;
        spec["trust"] = new JsonObject { ["directory"] = "certs" };
        if (install is { Count: > 0 }) spec["install"] = install.DeepClone();
        spec["networks"] = new JsonArray([.. Enumerable.Range(1, shape.HasNetworks ? clusters : 1)
            .Select(number => (JsonNode)new JsonObject { ["name"] = Numbered("network", number) })]);
        spec["clusters"] = new JsonArray([.. Enumerable.Range(1, clusters).Select(number => (JsonNode)Cluster(number, shape))]);
        return YamlText.Print(new JsonObject
        {
            ["apiVersion"] = MeshSpec.ApiVersion, ["kind"] = MeshSpec.Kind, ["metadata"] = new JsonObject { ["name"] = "mesh1" }, ["spec"] = spec,
        });
    }

    private static JsonObject Cluster(int number, Shape shape)
    {
        var cluster = new JsonObject { ["name"] = Numbered("cluster", number), ["network"] = Numbered("network", shape.HasNetworks ? number : 1) };
        if (shape.HasRemotes && number > 1) cluster["primaries"] = new JsonArray(Numbered("cluster", 1));
        if (shape.IsExternal && number > 1)
            cluster["controlPlane"] = new JsonObject
            {
                ["cluster"] = Numbered("cluster", 1), ["namespace"] = number == 2 ? "external-istiod" : Numbered("external-istiod-", number)
            };
        return cluster;
    }

    private static string Numbered(string word, int number) => string.Create(CultureInfo.InvariantCulture, $"{word}{number}");
}

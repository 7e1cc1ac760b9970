using System.CommandLine;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose.Packing;

namespace Isthmus.Options;

/// <summary><c>--snapshot</c>: answer from a file of <c>isthmus bug-report</c>.</summary>
internal sealed class SnapshotOption
{
    internal Option<string?> Option { get; } = new("--snapshot") { Description = "Answer from this file of 'isthmus bug-report' instead of asking clusters" };

    /// <summary>Where the command reads clusters.</summary>
    internal ClusterSource Open(ParseResult line) => new(line, line.GetValue(Option) is { } file ? MeshPack.Open(file) : null);
}

/// <summary>Where a command reads clusters: those of the kubeconfig, or those in a snapshot.</summary>
internal sealed class ClusterSource(ParseResult line, MeshPack? pack)
{
    internal bool IsSnapshot => pack is not null;

    /// <summary>When the clusters are as they are read.</summary>
    internal TimeProvider Time => pack?.Time ?? TimeProvider.System;

    /// <summary>That of the snapshot, unless another one is given.</summary>
    internal string IstioNamespace =>
        pack is { Manifest.IstioNamespace: { Length: > 0 } packed } && line.GetResult(GlobalOptions.IstioNamespace) is null or { Implicit: true }
            ? packed
            : line.GetValue(GlobalOptions.IstioNamespace)!;

    /// <summary>The contexts named, else all.</summary>
    internal IReadOnlyList<string> Names(MeshContexts contexts) =>
        pack is null ? contexts.Names(line) : contexts.Named(line) is { Count: > 0 } named ? named : pack.Contexts;

    /// <param name="name">Null for the current context.</param>
    internal ClusterAccess Load(string? name) => pack is null ? MeshContexts.Load(line, name) : pack.Access(name);
}

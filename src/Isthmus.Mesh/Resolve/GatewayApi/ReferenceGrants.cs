using Isthmus.Core.Collections;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>Which references to other namespaces are permitted.</summary>
public static class ReferenceGrants
{
    /// <param name="from">The object that has the reference; its kind is one of the Gateway API.</param>
    /// <param name="to">What it refers to.</param>
    /// <param name="grants">The grants of the namespace that it refers to.</param>
    public static bool Permit(ObjectRef from, ApiReference to, ValueList<ReferenceGrant> grants) =>
        to.Namespace == from.Namespace || grants.Any(grant => grant.Namespace == to.Namespace
            && grant.From.Any(source => source.Group == MeshApi.ApiGateway.Group && source.Kind == KindOf(from) && source.Namespace == from.Namespace)
            && grant.To.Any(target => target.Group == to.Group && target.Kind == to.Kind && (target.Name.Length == 0 || target.Name == to.Name)));

    /// <summary>The grant that was most likely meant to permit a reference, and what keeps it from that; null where none comes near.</summary>
    /// <param name="grants">Those of the namespace that is referred to, and of that of the object.</param>
    public static GrantMiss? Nearest(ObjectRef from, ApiReference to, IEnumerable<ReferenceGrant> grants) => grants
        .Where(grant => grant.Namespace == to.Namespace || grant.Namespace == from.Namespace).OrderBy(grant => grant.Namespace == from.Namespace)
        .SelectMany(grant => grant.From.Index().SelectMany(_ => grant.To.Index(), (source, target) =>
            Misses(from, to, grant, source.Index, target.Index).Take(2).ToList()))
        // One that differs in more was meant for something else.
        .FirstOrDefault(misses => misses.Count == 1)?[0];

    private static IEnumerable<GrantMiss> Misses(ObjectRef from, ApiReference to, ReferenceGrant grant, int i, int j)
    {
        var (source, target, kind, name) = (grant.From[i], grant.To[j], KindOf(from), $"ReferenceGrant {grant.Namespace}/{grant.Source.Name}");
        if (grant.Namespace != to.Namespace)
            yield return new($"{name} is in namespace {grant.Namespace}, and counts for objects there only", 
                $"create ReferenceGrant {grant.Source.Name} in namespace {to.Namespace}");
        if (source.Namespace != from.Namespace)
            yield return new($"{name} permits it to {kind}s of namespace {source.Namespace} only, and this one is in {from.Namespace}",
                $"write {from.Namespace} in spec.from[{i}].namespace of {name}");
        if (source.Kind != kind)
            yield return new($"{name} permits it to the kind {source.Kind} only, and this is of kind {kind}", $"write {kind} in spec.from[{i}].kind of {name}");
        if (source.Group != MeshApi.ApiGateway.Group)
            yield return new($"{name} permits it to the group \"{source.Group}\" only, and {kind}s are of {MeshApi.ApiGateway.Group}",
                $"write {MeshApi.ApiGateway.Group} in spec.from[{i}].group of {name}");
        if ((target.Group, target.Kind) != (to.Group, to.Kind))
            yield return new($"{name} permits references to the kind {KindOf(target.Group, target.Kind)} only, and this one is to {KindOf(to.Group, to.Kind)}",
                $"write group \"{to.Group}\" and kind {to.Kind} in spec.to[{j}] of {name}");
        if (target.Name.Length > 0 && target.Name != to.Name)
            yield return new($"{name} permits references to {target.Name} only", $"write {to.Name} in spec.to[{j}].name of {name}, or remove the name");
    }

    private static string KindOf(string group, string kind) => group.Length == 0 ? kind : $"{kind} of {group}";

    /// <summary>The kind without the group that a <see cref="KindDescriptor.Name"/> may have.</summary>
    private static string KindOf(ObjectRef source) => source.Kind.Split('.', 2)[0];
}

/// <summary>What keeps a grant from permitting a reference.</summary>
public sealed record GrantMiss(string Why, string Remedy)
{
    /// <summary>Follows what says that no grant permits a reference.</summary>
    public static string After(GrantMiss? miss) => miss is null ? "" : $"; {miss.Why}";
}

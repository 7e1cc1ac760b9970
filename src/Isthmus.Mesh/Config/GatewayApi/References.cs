using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads references, which mean their default where they say no group, kind or namespace.</summary>
internal static class References
{
    public const string Group = "gateway.networking.k8s.io";

    /// <param name="ns">The namespace of the object that has the reference.</param>
    public static ApiReference Read(Field reference, string group, string kind, string ns)
    {
        var (ownGroup, ownKind, ownNamespace) = (reference["group"], reference["kind"], reference["namespace"]);
        return new(ownGroup.Exists ? ownGroup.Text : group, ownKind.Exists ? ownKind.Text : kind,
            ownNamespace.Text is { Length: > 0 } other ? other : ns, reference["name"].Text)
        {
            Port = reference["port"].Int ?? 0,
            Section = reference["sectionName"].Text,
            Written = (ownGroup.Exists ? ReferenceFields.Group : 0) | (ownKind.Exists ? ReferenceFields.Kind : 0)
                | (ownNamespace.Exists ? ReferenceFields.Namespace : 0),
        };
    }

    public static ApiReference Secret(Field reference, string ns) => Read(reference, "", "Secret", ns);

    public static ApiReference Parent(Field reference, string ns) => Read(reference, Group, "Gateway", ns);

    public static ApiReference Backend(Field reference, string ns) => Read(reference, "", "Service", ns);

    /// <summary>A reference to an object with settings or certificates, which always says group and kind.</summary>
    public static ApiReference? Optional(Field reference, string ns) => reference.Exists ? Read(reference, "", "", ns) : null;
}

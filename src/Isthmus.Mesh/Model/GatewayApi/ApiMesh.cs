namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>What the Gateway API says of a whole mesh (<c>XMesh</c>): who runs it, and what that supports.</summary>
/// <param name="HasParameters">It refers to an object with settings.</param>
public sealed record ApiMesh(ObjectRef Source, string Controller, bool HasParameters, ObjectGeneration Generation)
{
    /// <summary>Istio's name: that of this mesh.</summary>
    public const string OwnController = "istio.io/mesh-controller";

    private const string Accepted = "Accepted";

    /// <summary>Null: the mesh is another controller's.</summary>
    public SupportStatus? Status => Controller != OwnController ? null : new(Source, Generation,
        [
            HasParameters
                ? new(Accepted, false, "InvalidParameters", "spec.parametersRef is not supported: the settings of the mesh are in MeshConfig; remove the field")
                : new(Accepted, true, Accepted, "Isthmus is this mesh"),
        ], GatewayFeatures.OfMesh);
}

using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Install.Operator;

/// <summary>Every field of an IstioOperator that the schemas declare.</summary>
internal static class OperatorFields
{
    internal const string Kind = "IstioOperator";

    /// <summary>Paths are below <c>spec</c>, as in <see cref="ApiField"/>: <c>values.gateways{}.type</c> is the type of any gateway. What is below
    /// <c>meshConfig</c> and <c>meshNetworks</c> are APIs of their own.</summary>
    internal static IReadOnlyList<ApiField> All
    {
        get;
    } = [.. OperatorSchema.Fields.Concat(ValuesSchema.Fields).Select(field => new ApiField(Kind, field.Path, field.Effect))
        .OrderBy(field => field.Path, StringComparer.Ordinal)];

    /// <summary>What a spec says that is refused or warned of.</summary>
    internal static IEnumerable<Problem> Check(JsonObject spec) =>
        OperatorSchema.Check(spec).Concat(OperatorShapes.Check(spec)).Concat(ValuesSchema.Check(spec, "", []));
}

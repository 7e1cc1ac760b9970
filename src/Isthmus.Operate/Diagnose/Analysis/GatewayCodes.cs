using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Codes of our own about what gateways serve.</summary>
public static class GatewayCodes
{
    public static readonly AnalysisCode IngressOfNobody = new("ISM1540", "IngressOfNobody", Severity.Info,
        "An Ingress names a class that no IngressClass has, and that is not the one of the mesh. Unless a controller takes the name by itself, nothing serves "
            + "it.",
        "Write a class that exists: for gateways of the mesh, one with the controller istio.io/ingress-controller.");
}

using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Problems that Istio's analysis knows, with its codes and names.</summary>
public static class IstioCodes
{
    public static readonly AnalysisCode ReferencedResourceNotFound = new("IST0101", "ReferencedResourceNotFound", Severity.Error,
        "An object refers to something that does not exist, so that what it says has no effect, or calls fail.", "Create what is missing, or correct the name.");

    public static readonly AnalysisCode SchemaValidationError = new("IST0106", "SchemaValidationError", Severity.Error,
        "An object is not valid. It has no effect, except where ignoring it would allow more than it was meant to.", "Correct the field that the message names.");

    public static readonly AnalysisCode SchemaWarning = new("IST0133", "SchemaWarning", Severity.Warning,
        "An object is valid, but a field has no effect, or not the effect that its author may expect.", "Follow the advice of the message.");

    public static readonly AnalysisCode InvalidGatewayCredential = new("IST0161", "InvalidGatewayCredential", Severity.Error,
        "The Secret that a Gateway names cannot be used. Gateways keep the last good certificate as long as they run; without one, they refuse TLS handshakes.", "Correct the Secret.");
}

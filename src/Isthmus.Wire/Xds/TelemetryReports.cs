using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Json;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Reports;

namespace Isthmus.Wire.Xds;

/// <summary>How a proxy's reports travel on the discovery stream. Only control planes that announce it get them: another one need not
/// understand a type that it does not serve.</summary>
public static class TelemetryReports
{
    /// <summary>The field of a control plane's identifier with the types of the reports that it takes.</summary>
    public const string Announcement = "Accepts";

    /// <summary>The most losses that a report holds; control planes ignore further ones.</summary>
    public const int MostLosses = 64;

    /// <summary>The most ports, with a protocol each, that a report holds; control planes ignore further ones.</summary>
    public const int MostSpoken = 32;

    /// <summary>The most clusters with refused calls that a report holds; control planes ignore further ones.</summary>
    public const int MostRefused = 32;

    /// <param name="controlPlane">As in a response.</param>
    public static bool AreTakenBy(ControlPlane? controlPlane)
    {
        if (controlPlane?.Identifier is not { Length: > 0 } text) return false;
        try
        {
            return (StrictJson.Parse(text) as JsonObject)?[Announcement] is JsonArray types && types.Any(type => type?.ToString() == TypeUrls.TelemetryReport);
        }
        catch (JsonException)
        {
            return false; // The identifier of another implementation.
        }
    }

    public static DeltaDiscoveryRequest Pack(TelemetryReport report) =>
        new() { TypeUrl = TypeUrls.TelemetryReport, ErrorDetail = new() { Details = { Any.Pack(report) } } };

    /// <summary>Null if the request is not a report.</summary>
    /// <exception cref="Google.Protobuf.InvalidProtocolBufferException">The report cannot be read.</exception>
    public static TelemetryReport? Read(DeltaDiscoveryRequest request) =>
        request.TypeUrl != TypeUrls.TelemetryReport ? null
        : request.ErrorDetail?.Details.FirstOrDefault() is { TypeUrl: TypeUrls.TelemetryReport } detail ? TelemetryReport.Parser.ParseFrom(detail.Value)
        : new TelemetryReport();
}

using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>
/// The pages of proxies that only programs of Isthmus read. Writer and reader use the same records. A field that is missing has its default, and one that is
/// not known here is left out, so that proxies of other releases are read, too.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    AllowDuplicateProperties = false)]
[JsonSerializable(typeof(InspectReport))]
[JsonSerializable(typeof(CallReport))]
[JsonSerializable(typeof(ReachReport))]
[JsonSerializable(typeof(IReadOnlyList<SeenReport>), TypeInfoPropertyName = "Recent")]
public sealed partial class ProxyReports : JsonSerializerContext;

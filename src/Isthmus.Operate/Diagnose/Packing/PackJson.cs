using System.Text.Json.Serialization;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>The files of a pack that no cluster, proxy or control plane gave: written and read as the same records.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, AllowDuplicateProperties = false)]
[JsonSerializable(typeof(PackManifest))]
[JsonSerializable(typeof(IReadOnlyList<PackedReach>))]
[JsonSerializable(typeof(IReadOnlyDictionary<string, UnreadKind>))]
[JsonSerializable(typeof(IReadOnlyList<string>))]
internal sealed partial class PackJson : JsonSerializerContext;

/// <summary>Why a kind could not be listed: the answer of the API server.</summary>
/// <param name="Code">Of HTTP.</param>
internal sealed record UnreadKind(int Code, string Reason, string Message);

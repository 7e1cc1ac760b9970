using System.Text.Json.Serialization;

namespace Isthmus.WebConsole.Answers;

/// <summary>Answers to calls of the page, without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(ServicePage))]
[JsonSerializable(typeof(CertificatesPage))]
[JsonSerializable(typeof(ConfigurationPage))]
internal sealed partial class AnswerJson : JsonSerializerContext;

"""The GraphQL queries and mutations that are sent to Dagster."""

_RUN = "runId status creationTime tags { key value }"

WORKSPACE = """
{
  workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries {
        name
        locationOrLoadError {
          __typename
          ... on PythonError { message }
          ... on RepositoryLocation { repositories { name jobs { name } } }
        }
      }
    }
    ... on PythonError { message }
  }
}
"""

PARTITIONS = """
query($job: PipelineSelector!) {
  pipelineOrError(params: $job) {
    __typename
    ... on Pipeline { partitionKeysOrError { __typename partitionKeys } }
    ... on Error { message }
  }
}
"""

FILES = """
mutation($sensor: SensorSelector!, $cursor: String) {
  sensorDryRun(selectorData: $sensor, cursor: $cursor) {
    __typename
    ... on DryRunInstigationTick {
      evaluationResult { cursor error { message } dynamicPartitionsRequests { partitionKeys } }
    }
    ... on Error { message }
  }
}
"""

ADD_PARTITION = """
mutation($repository: RepositorySelector!, $name: String!, $key: String!) {
  addDynamicPartition(repositorySelector: $repository, partitionsDefName: $name, partitionKey: $key) {
    __typename
    ... on Error { message }
  }
}
"""

LAUNCH = f"""
mutation($parameters: ExecutionParams!) {{
  launchRun(executionParams: $parameters) {{
    __typename
    ... on LaunchRunSuccess {{ run {{ {_RUN} }} }}
    ... on Error {{ message }}
    ... on RunConfigValidationInvalid {{ errors {{ message }} }}
  }}
}}
"""

RUNS = f"""
query($filter: RunsFilter!, $limit: Int!) {{
  runsOrError(filter: $filter, limit: $limit) {{
    __typename
    ... on Runs {{ results {{ {_RUN} }} }}
    ... on Error {{ message }}
  }}
}}
"""

STATUS = """
query($id: ID!) {
  runOrError(runId: $id) { __typename ... on Run { status } ... on Error { message } }
}
"""

TERMINATE = """
mutation($id: String!, $policy: TerminateRunPolicy!) {
  terminateRun(runId: $id, terminatePolicy: $policy) {
    __typename
    ... on TerminateRunFailure { message }
    ... on Error { message }
  }
}
"""

DELETE = """
mutation($id: String!) {
  deleteRun(runId: $id) { __typename ... on Error { message } }
}
"""

OUTCOME = """
query($id: ID!) {
  runOrError(runId: $id) {
    __typename
    ... on Run {
      assetMaterializations {
        assetKey { path }
        metadataEntries { label ... on IntMetadataEntry { intValue } }
      }
    }
    ... on Error { message }
  }
}
"""

EVENTS = """
query($id: ID!, $cursor: String, $limit: Int!) {
  runOrError(runId: $id) {
    __typename
    ... on Run {
      eventConnection(afterCursor: $cursor, limit: $limit) {
        cursor
        hasMore
        events {
          __typename
          ... on MessageEvent { message }
          ... on ExecutionStepFailureEvent {
            stepKey
            failureMetadata { description }
            error { message errorChain { error { message } } }
          }
          ... on RunFailureEvent { error { message errorChain { error { message } } } }
          ... on AssetCheckEvaluationEvent {
            evaluation { success severity checkName description assetKey { path } }
          }
        }
      }
    }
    ... on Error { message }
  }
}
"""
